//! The renderer of events.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use ingot_sdk::{Event, EventSink, StepInfo, StepOutcome};
use parking_lot::{Mutex, MutexGuard, RwLock};

use super::ci::CiSystem;
use super::live::Live;
use super::redact::Redactor;
use super::screen::{Screen, Stream};
use super::terminal::Terminal;
use super::{machine, text};

/// How to show things.
#[derive(Debug, Clone, Copy, Default)]
pub struct UiOptions {
    /// `-machine-readable`
    pub machine_readable: bool,
    /// Whether text may be coloured.
    pub color: bool,
    /// Whether the view may be, which may be on another stream.
    pub view_color: bool,
    /// `-timestamp-ui`
    pub timestamps: bool,
    /// What may be drawn on a terminal besides lines.
    pub view: View,
    /// The CI system whose groups are written around the output of builds.
    pub ci: Option<CiSystem>,
    /// Whether lines go to standard error: of commands whose standard output is one value or document.
    pub to_stderr: bool,
}

/// What may be drawn on a terminal besides lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum View {
    /// Transfers only.
    #[default]
    Transfers,
    /// The live view of several builds.
    Several,
    /// The live view, also of a single build.
    Always,
    /// Nothing.
    Nothing,
}

/// Gets each event once it has no secrets any more.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// The renderer of a run.
pub struct Renderer {
    options: UiOptions,
    redactor: Arc<Redactor>,
    state: Mutex<State>,
    screen: Arc<Screen>,
    live: RwLock<Option<Arc<Live>>>,
    listeners: RwLock<Vec<Listener>>,
    /// Held while a question is open: there is one terminal.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The colour of each build, given out in the order they speak.
    colors: HashMap<Arc<str>, usize>,
    progress: HashMap<u64, Transfer>,
    /// Whether builds run one after another, so that each can have a group of lines.
    grouped: bool,
    /// What ends the group that is open.
    group_end: Option<String>,
}

/// A transfer that is shown in lines.
struct Transfer {
    build: Option<Arc<str>>,
    label: String,
    /// The last tenth that was shown.
    told: u64,
}

impl Renderer {
    /// A renderer that writes to this process's output.
    pub fn new(options: UiOptions) -> Arc<Self> {
        let view = options.view != View::Nothing && !options.machine_readable;
        let renderer = Arc::new(Renderer {
            options,
            redactor: Arc::new(Redactor::default()),
            state: Mutex::default(),
            screen: Screen::new(view, options.view == View::Always),
            live: RwLock::default(),
            listeners: RwLock::default(),
            asking: tokio::sync::Mutex::default(),
        });
        // Transfers are shown from the start, as for plugins and data sources.
        renderer.begin_view(std::iter::empty(), false);
        renderer
    }

    /// What hides secrets; the log goes through it too.
    pub fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.redactor)
    }

    /// Hands all events from now on to `listener`.
    pub fn listen(&self, listener: Listener) {
        self.listeners.write().push(listener);
    }

    /// Writes to standard error, where the log goes, without tearing the view.
    pub fn log_writer(&self) -> LogWriter {
        LogWriter(Arc::clone(&self.screen))
    }

    /// Gives builds their colours, and shows which are whose if there are any. `parallel` is
    /// whether several may run at once.
    pub fn register_builds<'a>(&self, names: impl Iterator<Item = &'a str>, parallel: bool) {
        let names: Vec<&str> = names.collect();
        for name in &names {
            {
                let mut state = self.state();
                let next = state.colors.len();
                state.colors.entry((*name).into()).or_insert(next);
            }
            if self.options.color && !self.options.machine_readable {
                let legend = format!("{name}: output will be in this color.");
                self.show(Some(name), text::Level::Say, &legend);
            }
        }
        if self.options.color && !self.options.machine_readable {
            self.write("\n");
        }
        self.state().grouped = !parallel && !names.is_empty();
        let builds_shown = match self.options.view {
            View::Always => true,
            View::Several => names.len() > 1,
            View::Transfers | View::Nothing => false,
        };
        self.begin_view(names.into_iter(), builds_shown);
    }

    fn begin_view<'a>(&self, names: impl Iterator<Item = &'a str>, builds_shown: bool) {
        // Where standard output is not the terminal, transfers are shown in its lines.
        if !self.screen.has_view() || (!builds_shown && !self.screen.out_is_terminal()) {
            return;
        }
        let live = Arc::new(Live::new(names, builds_shown, self.options.view_color));
        *self.live.write() = Some(Arc::clone(&live));
        self.screen.begin(Box::new(move |width, height| live.rows(width, height)));
    }

    /// Takes the view away for good: what follows are lines.
    pub fn end_view(&self) {
        self.screen.end();
        *self.live.write() = None;
    }

    /// Does something while there is no view, and nobody draws one.
    pub fn without_view(&self, work: impl FnOnce()) {
        self.screen.without_view(work);
    }

    /// Whether there is a terminal that a view can be on.
    pub fn can_show_view(&self) -> bool {
        self.screen.has_view()
    }

    /// Writes lines to standard output as they are, which must have no secrets in them.
    pub fn raw(&self, lines: &str) {
        if !self.options.machine_readable {
            self.write(lines);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Writes to standard output, unless [`UiOptions::to_stderr`]. Errors go there too, as with
    /// Packer: what a run says is one text in one order. Standard error is for the log.
    pub(super) fn write(&self, text: &str) {
        let stream = if self.options.to_stderr { Stream::Err } else { Stream::Out };
        self.screen.write(stream, text);
    }

    /// The colour of a build, or of the build that a step named `build (step)` belongs to.
    fn color_of(&self, build: &str) -> usize {
        let state = self.state();
        let owner = || state.colors.get(build.rsplit_once(" (")?.0);
        state.colors.get(build).or_else(owner).copied().unwrap_or(0)
    }

    /// Shows a text that has no secrets in it, with the build's name before each line.
    fn line(&self, build: Option<&Arc<str>>, level: text::Level, message: &str) {
        match build {
            Some(name) => self.show(Some(name), level, &text::prefixed(name, message)),
            None => self.show(None, level, message),
        }
    }

    /// Shows a text that has no secrets in it.
    fn show(&self, build: Option<&str>, level: text::Level, message: &str) {
        if self.options.machine_readable {
            let stamp = build.map_or_else(String::new, |_| text::stamp(&self.options));
            self.write(&machine::ui(level, &format!("{stamp}{message}")));
            return;
        }
        let color = build.map(|name| self.color_of(name));
        let harmless = self.options.ci.map(|ci| ci.harmless(message));
        let message = harmless.as_deref().unwrap_or(message);
        self.write(&text::render(level, message, color, &self.options));
    }

    fn advance(&self, id: u64, position: u64, total: Option<u64>) {
        let mut state = self.state();
        let Some(transfer) = state.progress.get_mut(&id) else { return };
        let tenth = match total {
            Some(total) if total > 0 => position * 10 / total,
            _ => return,
        };
        if tenth <= transfer.told || tenth == 0 {
            return;
        }
        transfer.told = tenth;
        let (build, message) =
            (transfer.build.clone(), format!("{}: {}%", transfer.label, tenth * 10));
        drop(state);
        self.line(build.as_ref(), text::Level::Say, &message);
    }

    /// Begins a group of lines, or ends the one that is open.
    fn group(&self, event: &Event) {
        let Some(ci) = self.options.ci.filter(|_| !self.options.machine_readable) else { return };
        let mut state = self.state();
        if !state.grouped {
            return;
        }
        let mut marks = state.group_end.take().unwrap_or_default();
        if let Event::BuildStart { build, .. } = event {
            let (begin, end) = ci.group(&format!("Build '{build}'"), false);
            marks.push_str(&begin);
            state.group_end = Some(end);
        }
        drop(state);
        self.write(&marks);
    }

    /// The event without secrets. A verdict has none already.
    fn masked_event(&self, mut event: Event) -> Event {
        let apply = |text: &mut String| *text = self.redactor.apply(text);
        let outcome = |outcome: &mut StepOutcome| match outcome {
            StepOutcome::Failed(why) | StepOutcome::Tolerated(why) => apply(why),
            StepOutcome::Succeeded | StepOutcome::Cancelled | StepOutcome::Skipped => {}
        };
        match &mut event {
            Event::Say { text, .. } | Event::Message { text, .. } | Event::Error { text, .. } => {
                apply(text);
            }
            Event::Machine { args, .. } => args.iter_mut().for_each(apply),
            Event::ProgressStart { label, .. } => apply(label),
            Event::BuildEnd { outcome: how, hint, artifacts, .. } => {
                outcome(how);
                hint.iter_mut().for_each(apply);
                for artifact in artifacts {
                    apply(&mut artifact.id);
                    apply(&mut artifact.description);
                }
            }
            Event::StepStart { step: StepInfo { label, .. }, .. } => {
                label.iter_mut().for_each(apply);
            }
            Event::StepEnd { outcome: how, .. } => outcome(how),
            Event::Verdict { .. }
            | Event::ProgressAt { .. }
            | Event::ProgressEnd { .. }
            | Event::BuildStart { .. }
            | Event::Document { .. } => {}
        }
        event
    }
}

#[async_trait::async_trait]
impl EventSink for Renderer {
    fn emit(&self, event: Event) {
        let event = self.masked_event(event);
        self.listeners.read().iter().for_each(|listener| listener(&event));
        let live = self.live.read().clone();
        if let Some(live) = &live {
            live.take(&event);
        }
        match event {
            Event::Say { build, text } | Event::Message { build, text } => {
                self.line(build.as_ref(), text::Level::Say, &text);
            }
            Event::Verdict { build, failed, text } => {
                let level = if failed { text::Level::Error } else { text::Level::Say };
                self.show(build.as_deref(), level, &text);
            }
            Event::Error { build, text } => self.line(build.as_ref(), text::Level::Error, &text),
            Event::Machine { build, kind, args } if self.options.machine_readable => {
                self.write(&machine::line(build.as_deref(), &kind, &args));
            }
            Event::ProgressStart { build, id, label, .. }
                if live.is_none() || !self.screen.out_is_terminal() =>
            {
                self.state().progress.insert(id, Transfer { build, label, told: 0 });
            }
            Event::ProgressAt { id, position, total } => self.advance(id, position, total),
            Event::ProgressEnd { id } => drop(self.state().progress.remove(&id)),
            Event::BuildStart { .. } | Event::BuildEnd { .. } => self.group(&event),
            Event::Machine { .. }
            | Event::ProgressStart { .. }
            | Event::StepStart { .. }
            | Event::StepEnd { .. }
            | Event::Document { .. } => {}
        }
    }

    async fn ask(&self, build: Option<Arc<str>>, question: &str) -> std::io::Result<String> {
        if self.options.machine_readable {
            return Err(std::io::Error::other("there is nobody to ask with -machine-readable"));
        }
        let _alone = self.asking.lock().await;
        let terminal = Terminal::open()?;
        let _suspended = self.screen.suspend();
        self.line(build.as_ref(), text::Level::Say, &self.redactor.apply(question));
        let read = tokio::task::spawn_blocking(|| terminal.read_line());
        let line = read.await.map_err(std::io::Error::other)??;
        Ok(line.trim_end_matches(['\n', '\r']).to_owned())
    }

    fn masked(&self, text: &str) -> String {
        self.redactor.apply(text)
    }

    fn mask(&self, secret: &str) {
        self.redactor.add(secret);
    }

    fn mask_whole(&self, text: &str) {
        self.redactor.add_whole(text);
    }
}

/// Writes to standard error, where the log goes, without tearing the view.
pub struct LogWriter(Arc<Screen>);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(Stream::Err, &String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
