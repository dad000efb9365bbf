//! Programs that run as long as the machine does: QEMU itself and its software TPM.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::process::LocalCommand;
use ingot_sdk::{Error, ExitStatus, JournalEntry, OutputSink, Resource, Result, RunContext};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use rustix::process::Signal;

use crate::reclaim::{PROCESS, runs, send};

/// The exit codes from here on are of programs that a signal ended: the number of the signal is added.
const SIGNALLED: i32 = 128;
/// The exit code of one that was ended by SIGKILL.
const KILLED: i32 = SIGNALLED + Signal::KILL.as_raw();
/// How many of the last lines of output an error shows.
const SHOWN_LINES: usize = 8;
/// How long a program may take to end; it is killed before that.
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// How long one that this process did not start has to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How often is looked whether such a one runs.
const POLL: Duration = Duration::from_millis(200);

/// How a program ended, as far as it did.
type ExitResult = Option<Result<ExitStatus, Arc<Error>>>;

/// A program that runs in the background. Dropping it ends it.
pub(crate) struct Process {
    name: &'static str,
    end: CancellationToken,
    ended: watch::Receiver<ExitResult>,
    output: Arc<LastLines>,
    record: Option<JournalEntry>,
}

impl Process {
    /// Starts the program called `name` in messages. `marker` is a part of its command line that
    /// no other process has: should this one be killed, the next run finds the program by it.
    ///
    /// # Errors
    /// It cannot be written down.
    pub(crate) fn start(
        ctx: &RunContext,
        name: &'static str,
        argv: Vec<String>,
        marker: &str,
    ) -> Result<Process> {
        let resource = Resource::new(PROCESS, marker).with("program", name);
        let record = JournalEntry::open(&ctx.journal, &resource)?;
        // Cancellation ends the step that waits; cleanup then ends the program, in order.
        let end = CancellationToken::new();
        let own = RunContext { cancel: end.clone(), ..ctx.clone() };
        let (sender, ended) = watch::channel(None);
        let output = Arc::new(LastLines { name, lines: Mutex::default() });
        tracing::debug!(?argv, "starting {name}");
        let lines = Arc::clone(&output);
        tokio::spawn(async move {
            // `-on-error=abort` leaves it running.
            let command = LocalCommand { argv, outlives: true, ..LocalCommand::default() };
            let status = command.run(&own, &*lines).await;
            tracing::debug!(?status, "{name} has ended");
            // Fails only if nobody wants to know.
            let _ = sender.send(Some(status.map_err(Arc::new)));
        });
        Ok(Process { name, end, ended, output, record: Some(record) })
    }

    /// A program that an earlier run started, with `marker` on its command line.
    ///
    /// # Errors
    /// It does not run any more, or cannot be written down.
    pub(crate) fn resume(ctx: &RunContext, name: &'static str, marker: &str) -> Result<Process> {
        if !runs(marker)? {
            return Err(Error::new(format!("{name} does not run any more")));
        }
        let resource = Resource::new(PROCESS, marker).with("program", name);
        let record = JournalEntry::open(&ctx.journal, &resource)?;
        let end = CancellationToken::new();
        let (sender, ended) = watch::channel(None);
        let (ending, marker) = (end.clone(), marker.to_owned());
        tokio::spawn(async move {
            let status = watch_over(&marker, &ending).await;
            tracing::debug!(?status, "{name} has ended");
            // Fails only if nobody wants to know.
            let _ = sender.send(Some(status.map_err(Arc::new)));
        });
        let output = Arc::new(LastLines { name, lines: Mutex::default() });
        Ok(Process { name, end, ended, output, record: Some(record) })
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn wait(&self) -> Result<ExitStatus, Arc<Error>> {
        let mut ended = self.ended.clone();
        let status = ended.wait_for(Option::is_some).await;
        match status.as_deref() {
            Ok(Some(status)) => status.clone(),
            _ => Err(Arc::new(Error::new("nothing is known of it"))),
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// It did not end by itself: it was killed, or it crashed. Of one that an earlier run started, nobody
    /// knows.
    pub(crate) async fn end(&self) -> Result<()> {
        match self.wait().await {
            Ok(ExitStatus::Code(code)) if code > SIGNALLED => Err(self.unexpected_end().await),
            Ok(_) => Ok(()),
            Err(why) => Err(Error::caused_by(why)),
        }
    }

    /// Whether it crashed. One that was killed, or had no memory for what it maps (SIGBUS), did not.
    pub(crate) fn crashed(&self) -> bool {
        let crashes = [Signal::ABORT, Signal::SEGV, Signal::ILL, Signal::FPE];
        match &*self.ended.borrow() {
            Some(Ok(ExitStatus::Code(code))) => {
                crashes.iter().any(|signal| *code == SIGNALLED + signal.as_raw())
            }
            _ => false,
        }
    }

    /// Waits until it has ended, and makes an error of that: for when it should have gone on.
    pub(crate) async fn unexpected_end(&self) -> Error {
        let mut hint = None;
        let how = match self.wait().await {
            Ok(ExitStatus::Code(0)) => "ended".to_owned(),
            Ok(ExitStatus::Code(KILLED)) => {
                hint = Some(
                    "the kernel kills programs where memory runs out, and writes that to its log \
                     (dmesg): give the machine less memory, or build less at a time",
                );
                "was killed".to_owned()
            }
            Ok(ExitStatus::Code(code)) => format!("ended with code {code}"),
            Ok(ExitStatus::Disconnected) => "does not run any more".to_owned(),
            Err(why) => return Error::caused_by(why),
        };
        let said = self.output.text();
        let said = if said.is_empty() { String::new() } else { format!(":\n{said}") };
        let error = Error::new(format!("{} {how}{said}", self.name));
        hint.into_iter().fold(error, Error::hint)
    }

    /// Whether it runs.
    pub(crate) fn runs(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Ends it: asks first, kills then.
    ///
    /// # Errors
    /// It may still run; it then stays in the journal.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.end.cancel();
        if tokio::time::timeout(END_TIMEOUT, self.wait()).await.is_err() {
            return Err(Error::new(format!("{} does not end", self.name)));
        }
        if let Some(record) = self.record.take() {
            record.done();
        }
        Ok(())
    }

    /// What it wrote last.
    pub(crate) fn last_lines(&self) -> String {
        self.output.text()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// Waits until a program that this process did not start has ended; ends it when `end` fires. How
/// it ended is known to who started it, and nobody else.
async fn watch_over(marker: &str, end: &CancellationToken) -> Result<ExitStatus> {
    loop {
        if !runs(marker)? {
            return Ok(ExitStatus::Disconnected);
        }
        tokio::select! {
            () = end.cancelled() => break,
            () = tokio::time::sleep(POLL) => {}
        }
    }
    send(marker, Signal::TERM)?;
    let asked = tokio::time::Instant::now();
    while runs(marker)? {
        if asked.elapsed() > GRACE {
            send(marker, Signal::KILL)?;
        }
        tokio::time::sleep(POLL).await;
    }
    Err(Error::Cancelled)
}

/// Sends a program's output to the log and keeps its end.
struct LastLines {
    name: &'static str,
    lines: Mutex<(VecDeque<String>, Vec<u8>)>,
}

impl LastLines {
    fn text(&self) -> String {
        let lines = self.lines.lock();
        let rest = String::from_utf8_lossy(&lines.1);
        let rest = Some(rest.trim_end()).filter(|rest| !rest.is_empty());
        lines.0.iter().map(String::as_str).chain(rest).collect::<Vec<_>>().join("\n")
    }
}

impl OutputSink for LastLines {
    fn stdout(&self, bytes: &[u8]) {
        self.stderr(bytes);
    }

    fn stderr(&self, bytes: &[u8]) {
        let mut lines = self.lines.lock();
        lines.1.extend_from_slice(bytes);
        while let Some(end) = lines.1.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = lines.1.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            tracing::debug!(line, "{} says", self.name);
            if lines.0.len() == SHOWN_LINES {
                lines.0.pop_front();
            }
            lines.0.push_back(line);
        }
    }
}
