//! What is written to standard output and standard error, with a view below it on a terminal.
//!
//! The view is a few rows that are drawn anew in place; what is written goes above them. The cursor
//! stands in the row below the view, so that the `^C` of a terminal's own echo is wiped out with it.
//! Nothing of the terminal is switched: whatever ends the process leaves it as it was.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use console::{Term, measure_text_width};
use parking_lot::Mutex;

use super::{clean, standard_output};

/// How often the view is looked at, and how long what is written may wait to be shown with it.
const TICK: Duration = Duration::from_millis(80);
/// As much text waits at most.
const PENDING_LIMIT: usize = 32 << 10;

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

impl Stream {
    fn write(self, text: &str) {
        // That it cannot be written is not the end of a build.
        match self {
            Stream::Out => standard_output::write(text.as_bytes()),
            Stream::Err => drop(std::io::stderr().lock().write_all(text.as_bytes())),
        }
    }
}

/// Whether the cursor of this process's terminal can be moved.
fn can_move_cursor() -> bool {
    std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb")
}

/// Whether standard output leads to a file or a device, so that nobody shows it on the terminal.
fn out_is_silent() -> bool {
    let out = std::io::stdout().as_fd().try_clone_to_owned();
    let kind = out.and_then(|out| Ok(File::from(out).metadata()?.file_type()));
    kind.is_ok_and(|kind| kind.is_file() || kind.is_char_device())
}

/// The rows of the view for a terminal of so many columns and rows.
pub(super) type Rows = Box<dyn Fn(usize, usize) -> Vec<String> + Send + Sync>;

/// The two streams of the process.
pub(super) struct Screen {
    /// Where the view is; none where it is nowhere.
    view: Option<Stream>,
    /// Whether standard output and standard error are terminals.
    terminals: (bool, bool),
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Gives the rows of the view, once it has begun.
    rows: Option<Rows>,
    /// The rows that stand on the terminal.
    drawn: Vec<String>,
    /// What is still to be written, in order.
    pending: Vec<(Stream, String)>,
    flushed: Option<Instant>,
    /// How many questions are open. Then there is no view.
    suspended: usize,
}

impl Screen {
    /// The streams of this process. There can be a view if `view` says so and one of them is a
    /// terminal on which the cursor can be moved. Beside a pipe there is one on standard error only
    /// if it is `forced`: what reads the pipe may write to the same terminal, as `tee` does.
    pub(super) fn new(view: bool, forced: bool) -> Arc<Self> {
        let terminals = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let terminal = match terminals {
            (true, _) => Some(Stream::Out),
            (false, true) if forced || out_is_silent() => Some(Stream::Err),
            (false, _) => None,
        };
        let view = terminal.filter(|_| view && can_move_cursor());
        Arc::new(Screen { view, terminals, state: Mutex::default() })
    }

    /// Whether standard output is a terminal.
    pub(super) fn out_is_terminal(&self) -> bool {
        self.terminals.0
    }

    fn is_terminal(&self, stream: Stream) -> bool {
        match stream {
            Stream::Out => self.terminals.0,
            Stream::Err => self.terminals.1,
        }
    }

    /// Whether there is a terminal for a view.
    pub(super) fn has_view(&self) -> bool {
        self.view.is_some()
    }

    /// Shows the rows that `rows` gives, and gives new ones several times a second.
    pub(super) fn begin(self: &Arc<Self>, rows: Rows) {
        if self.view.is_none() {
            return;
        }
        let before = self.state.lock().rows.replace(rows);
        if before.is_some() {
            return;
        }
        let screen = Arc::downgrade(self);
        let _ = std::thread::Builder::new().name("view".into()).spawn(move || tick(&screen));
    }

    /// Takes the view away for good.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        self.flush(&mut state, false);
        state.rows = None;
    }

    /// Takes the view away until what is returned is dropped.
    pub(super) fn suspend(self: &Arc<Self>) -> Suspended {
        let mut state = self.state.lock();
        self.flush(&mut state, false);
        state.suspended += 1;
        Suspended(Arc::clone(self))
    }

    /// Does something while the view is away. Nothing is written meanwhile.
    pub(super) fn without_view(&self, work: impl FnOnce()) {
        let mut state = self.state.lock();
        self.flush(&mut state, false);
        work();
    }

    /// Writes text.
    pub(super) fn write(&self, stream: Stream, text: &str) {
        if self.view.is_none() || !self.is_terminal(stream) {
            stream.write(text);
            return;
        }
        let mut state = self.state.lock();
        if state.drawn.is_empty() && state.pending.is_empty() {
            // There is nothing that could be torn yet. Where there will be, what the text would make
            // the terminal do must not happen either: it may clear the lines above.
            match state.rows {
                Some(_) => stream.write(&clean::lines(text)),
                None => stream.write(text),
            }
            return;
        }
        state.pending.push((stream, clean::lines(text)));
        let waiting: usize = state.pending.iter().map(|(_, text)| text.len()).sum();
        let late = state.flushed.is_none_or(|at| at.elapsed() >= TICK);
        if late || waiting > PENDING_LIMIT {
            self.flush(&mut state, true);
        }
    }

    /// Writes what waits, and the view below it if it is to be `shown`.
    fn flush(&self, state: &mut State, shown: bool) {
        let Some(view) = self.view else { return };
        state.flushed = Some(Instant::now());
        let size = term(view).size_checked();
        // Where the size is not known, that of the oldest terminals.
        let (height, width) = size.map_or((24, 80), |(h, w)| (usize::from(h), usize::from(w)));
        let rows = match &state.rows {
            Some(rows) if shown && state.suspended == 0 => rows(width, height),
            _ => Vec::new(),
        };
        if state.pending.is_empty() && rows == state.drawn {
            return;
        }
        let mut text = erase(&state.drawn, width);
        for (stream, pending) in state.pending.drain(..) {
            if stream == view {
                text.push_str(&pending);
                continue;
            }
            // Both lead to the terminal, where the order counts.
            view.write(&text);
            text.clear();
            stream.write(&pending);
        }
        for row in &rows {
            let _ = writeln!(text, "{row}");
        }
        view.write(&text);
        state.drawn = rows;
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.end();
    }
}

/// Keeps the view away while it lives.
pub(super) struct Suspended(Arc<Screen>);

impl Drop for Suspended {
    fn drop(&mut self) {
        self.0.state.lock().suspended -= 1;
    }
}

fn term(stream: Stream) -> Term {
    match stream {
        Stream::Out => Term::stdout(),
        Stream::Err => Term::stderr(),
    }
}

/// What wipes out rows that stand above the cursor on a terminal that now has `width` columns: one
/// that became narrower has broken them into more.
fn erase(drawn: &[String], width: usize) -> String {
    let lines = drawn.iter().map(|row| measure_text_width(row).div_ceil(width.max(1)).max(1));
    match lines.sum::<usize>() {
        0 => String::new(),
        count => format!("\r\u{1b}[{count}A\u{1b}[J"),
    }
}

/// Keeps the view up to date as long as there is one.
fn tick(screen: &Weak<Screen>) {
    loop {
        std::thread::sleep(TICK);
        let Some(screen) = screen.upgrade() else { return };
        let mut state = screen.state.lock();
        if state.rows.is_none() {
            return;
        }
        screen.flush(&mut state, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_wiped_out_also_where_the_terminal_has_broken_them() {
        let mut terminal = vt100::Parser::new(10, 20, 0);
        let rows = ["one".to_owned(), "two".to_owned()];
        terminal.process(b"log\r\none\r\ntwo\r\n^C");
        terminal.process(erase(&rows, 20).as_bytes());
        assert_eq!(terminal.screen().contents(), "log");
        assert_eq!(erase(&["x".repeat(45)], 20), "\r\u{1b}[3A\u{1b}[J");
        assert_eq!(erase(&[], 20), "");
    }
}
