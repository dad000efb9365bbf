//! Commands in a container, by the Engine's exec API.

use std::borrow::Cow;
use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as EngineError;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{ContainerState, ContainerStateStatusEnum};
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{Stream, StreamExt};
use ingot_sdk::{Error, ExitStatus, Result};
use tokio::io::AsyncWrite;
use tokio_util::task::TaskTracker;

use crate::engine::{
    Engine, EngineContext, Lacking, describe, is_away, is_refusal, lacking, status,
};
use crate::first_line::{FirstLine, MARK};
use crate::liveness::MissedPings;
use crate::piece::Piece;

/// How long a command's exit code may lag behind the end of its output.
const EXIT_CODE_GRACE: Duration = Duration::from_secs(10);

/// How long a command may take to end once it was asked to, in seconds. It is killed then.
const END_GRACE: u32 = 5;

/// How long ending a command that nobody waits for any more may take.
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// How often, and how long apart, a container is looked at whose stop the Engine may not have noticed.
const STOP_LAG_TRIES: u32 = 10;
const STOP_LAG_PAUSE: Duration = Duration::from_millis(100);

/// How long the Engine may take to say what a stopped container has printed.
const LOGS_TIMEOUT: Duration = Duration::from_secs(5);

/// How many of a stopped container's last lines an error shows.
const SHOWN_LINES: &str = "5";

/// Runs commands in one container.
#[derive(Clone)]
pub(crate) struct Runner {
    /// The Engine.
    pub engine: Engine,
    /// The container's id.
    pub container: String,
    /// Commands that nobody waits for any more and that are being ended.
    ending: TaskTracker,
}

/// How to run a command.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct How<'a> {
    /// The user, if not the container's own.
    pub user: Option<&'a str>,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// Whether it reads what is written to [`Running::input`].
    pub reads: bool,
}

/// A command that runs. Should it be dropped before the command's end, as a timeout does, the
/// command and what it has started are ended in the container too.
pub(crate) struct Running {
    /// Where its standard input is written.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, EngineError>> + Send>>,
    id: String,
    user: Option<String>,
    first_line: FirstLine,
    ender: Ender,
    /// Whether its connection broke, so that only the Engine knows when it ends.
    broken: bool,
    /// Why nobody knows how it goes on, if the Engine does not answer any more.
    lost: Option<Error>,
}

impl Runner {
    /// Runs commands in `container`.
    pub(crate) fn new(engine: Engine, container: String) -> Self {
        let ending = TaskTracker::new();
        // Closed only means that waiting is over once there are none.
        ending.close();
        Runner { engine, container, ending }
    }

    /// Starts a command line in `/bin/sh`.
    ///
    /// # Errors
    /// It cannot be started: why, and what to do.
    pub(crate) async fn start(&self, command: &str, how: How<'_>) -> Result<Running> {
        self.others_ended().await;
        let options = CreateExecOptions {
            attach_stdin: Some(how.reads),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(how.terminal),
            // The parentheses are Packer's: `cmd &` and lists of commands run as one. The number
            // of the shell's process, which leads a session, is how to end all of them.
            cmd: Some(vec![
                "/bin/sh".to_owned(),
                "-c".to_owned(),
                format!("echo '{MARK}'$$; ({command})"),
            ]),
            user: how.user.map(str::to_owned),
            ..Default::default()
        };
        let creating = self.engine.api.create_exec(&self.container, options);
        let exec = match self.engine.while_alive(creating).await? {
            Ok(exec) => exec.id,
            Err(error) => return Err(self.not_run(&error, how).await),
        };
        let options = StartExecOptions { tty: how.terminal, ..Default::default() };
        let started = self.engine.while_alive(self.engine.api.start_exec(&exec, Some(options)));
        let (output, input) = match started.await? {
            Ok(StartExecResults::Attached { output, input }) => (output, input),
            Ok(StartExecResults::Detached) => {
                return Err(Error::new("the Engine did not attach to the command"));
            }
            Err(error) => return Err(self.not_run(&error, how).await),
        };
        let ender = Ender { runner: self.clone(), process: None };
        let (user, first_line) = (how.user.map(str::to_owned), FirstLine::default());
        let (id, broken, lost) = (exec, false, None);
        Ok(Running { input, output, id, user, first_line, ender, broken, lost })
    }

    /// Why a command could not be started.
    async fn not_run(&self, error: &EngineError, how: How<'_>) -> Error {
        let text = describe(error);
        if is_away(error) {
            return Error::new(text).context("running a command").transient();
        }
        match self.stopped_soon().await {
            Some(stopped) => stopped.context("running a command"),
            None => Runner::not_started(&text, how.user),
        }
    }

    /// What the Engine, or the runtime below it, says of a command that it could not start.
    fn not_started(said: &str, user: Option<&str>) -> Error {
        let error = Error::new(said).context("running a command");
        match (lacking(said), user) {
            (Some(Lacking::User), Some(user)) => error.hint(format!(
                "the image has no user {user}: create it, or give its number (exec_user)"
            )),
            (Some(Lacking::Shell), _) => error.hint("provisioners need a /bin/sh in the image"),
            _ => error,
        }
    }

    /// The same as [`Runner::stopped`], for a container that may just have stopped: for a moment
    /// the Engine says then that it runs, while it has no process any more to run a command beside.
    async fn stopped_soon(&self) -> Option<Error> {
        for _ in 0..STOP_LAG_TRIES {
            if let Some(stopped) = self.stopped().await {
                return Some(stopped);
            }
            tokio::time::sleep(STOP_LAG_PAUSE).await;
        }
        self.stopped().await
    }

    /// Why the container runs no commands, if it is the one to blame.
    pub(crate) async fn stopped(&self) -> Option<Error> {
        let asked = self.engine.ask(self.engine.api.inspect_container(&self.container, None));
        let state = match asked.await {
            Ok(found) => found.state.unwrap_or_default(),
            Err(error) if status(&error) == Some(404) => {
                return Some(
                    Error::new("the container is gone: something removed it while it was in use")
                        .hint("let nothing clean up the Engine (docker rm, prune) during a build"),
                );
            }
            Err(_) => return None,
        };
        if state.restarting == Some(true) {
            return Some(Error::new("the container is restarting").transient());
        }
        if state.paused == Some(true) {
            return Some(
                Error::new("the container is paused").hint("`docker unpause` lets it go on"),
            );
        }
        if state.running == Some(true) || state.status == Some(ContainerStateStatusEnum::CREATED) {
            return None;
        }
        let mut message = format!("the container has stopped: {}", ending(&state));
        let said = self.last_lines().await;
        if !said.is_empty() {
            message.push_str(&format!("; it said last:\n{said}"));
        }
        Some(Error::new(message).hint(
            "its main process must run until the build ends, as the default run_command \
             (-d -i -t --entrypoint=/bin/sh) makes it",
        ))
    }

    /// What the container's main process printed last.
    async fn last_lines(&self) -> String {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(SHOWN_LINES).build();
        let reading = async {
            let mut text = String::new();
            let mut lines = self.engine.api.logs(&self.container, Some(options));
            while let Some(Ok(line)) = lines.next().await {
                text.push_str(&line.to_string());
            }
            text
        };
        let text = tokio::time::timeout(LOGS_TIMEOUT, reading).await.unwrap_or_default();
        // One line may be as long as it likes.
        text.trim().chars().take(2000).collect()
    }

    /// How a command ended whose output has ended. It ran, so that it must not be run again: an
    /// Engine that does not tell counts as a lost connection.
    ///
    /// # Errors
    /// The Engine does not answer any more.
    async fn status(&self, exec: &str) -> Result<ExitStatus> {
        let deadline = tokio::time::Instant::now() + EXIT_CODE_GRACE;
        let (mut wait, mut missed) = (Duration::from_millis(2), MissedPings::default());
        loop {
            let runs = match self.engine.ask(self.engine.api.inspect_exec(exec)).await {
                Ok(state) => {
                    missed.reset();
                    let runs = state.running == Some(true);
                    if let Some(code) = state.exit_code.filter(|_| !runs) {
                        return Ok(ExitStatus::Code(i32::try_from(code).unwrap_or(-1)));
                    }
                    runs
                }
                // The container went away, and its execs with it.
                Err(error) if status(&error) == Some(404) => return Ok(ExitStatus::Disconnected),
                Err(error) if is_refusal(&error) => {
                    tracing::warn!(error = describe(&error), "how a command ended is not known");
                    return Ok(ExitStatus::Disconnected);
                }
                Err(error) => {
                    missed.add(&self.engine, &error)?;
                    tokio::time::sleep(self.engine.patience.silence).await;
                    continue;
                }
            };
            // The pipes may close a moment before the Engine has noted the code. Something on the way
            // may also close the connection of a command that runs on.
            if tokio::time::Instant::now() > deadline {
                if !runs || self.stopped().await.is_some() {
                    return Ok(ExitStatus::Disconnected);
                }
                wait = self.engine.patience.rest;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_millis(100));
        }
    }

    /// Waits until no command is being ended any more, so that the next finds it gone.
    pub(crate) async fn others_ended(&self) {
        self.ending.wait().await;
    }

    /// Ends a process and those it has started, as long as they are in its process group: asks
    /// first, kills then.
    async fn end(&self, process: &str) -> Result<()> {
        let script = format!(
            "kill -TERM -{process} || exit 0; n=0; while [ $n -lt {END_GRACE} ] && \
             kill -0 -{process}; do sleep 1; n=$((n+1)); done; kill -KILL -{process}"
        );
        let options = CreateExecOptions {
            cmd: Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), script]),
            // Whoever the process belongs to.
            user: Some("0".to_owned()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let doing = "ending a command in the container";
        let exec = self.engine.api.create_exec(&self.container, options).await.doing(doing)?;
        let started = self.engine.api.start_exec(&exec.id, None).await.doing(doing)?;
        if let StartExecResults::Attached { mut output, .. } = started {
            while output.next().await.is_some() {}
        }
        Ok(())
    }
}

/// How a container's main process ended, in words.
fn ending(state: &ContainerState) -> String {
    let code = state.exit_code.unwrap_or_default();
    let mut text = match state.oom_killed {
        Some(true) => format!("the kernel killed it for lack of memory (code {code})"),
        _ => format!("its main process ended with code {code}"),
    };
    if let Some(error) = state.error.as_deref().filter(|error| !error.is_empty()) {
        text.push_str(&format!(" ({error})"));
    }
    text
}

impl Running {
    /// The next piece of output; none at its end.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        loop {
            let Some(piece) = self.sent().await else { return self.first_line.rest() };
            match piece {
                LogOutput::StdErr { message } => return Some(Piece::Errors(message)),
                LogOutput::StdOut { message }
                | LogOutput::Console { message }
                | LogOutput::StdIn { message } => {
                    let rest = self.first_line.take(&message);
                    self.ender.process.clone_from(&self.first_line.process);
                    match rest {
                        Cow::Borrowed([]) => {}
                        Cow::Borrowed(rest) => return Some(Piece::Output(message.slice_ref(rest))),
                        Cow::Owned(rest) if rest.is_empty() => {}
                        Cow::Owned(rest) => return Some(Piece::Output(rest.into())),
                    }
                }
            }
        }
    }

    /// What the Engine sends next. The end, too, where the command has ended and nothing more comes:
    /// its connection was lost then.
    async fn sent(&mut self) -> Option<LogOutput> {
        let runner = &self.ender.runner;
        let engine = &runner.engine;
        let (mut ended, mut missed) = (false, MissedPings::default());
        loop {
            // An Engine that answers is asked often where nothing else tells of the end.
            let soon = ended || (self.broken && missed.is_none());
            let wait = if soon { engine.patience.rest } else { engine.patience.silence };
            let (broken, output) = (self.broken, &mut self.output);
            let more =
                async { if broken { std::future::pending().await } else { output.next().await } };
            match tokio::time::timeout(wait, more).await {
                Ok(Some(Ok(piece))) => return Some(piece),
                Ok(Some(Err(error))) => {
                    tracing::debug!(%error, "lost the output of a command");
                    self.broken = true;
                }
                Ok(None) => return None,
                Err(_) if ended => {
                    tracing::warn!("lost the connection of a command, which has ended");
                    return None;
                }
                Err(_) => {}
            }
            match engine.ask(engine.api.inspect_exec(&self.id)).await {
                Ok(state) if state.running == Some(true) => {
                    missed.reset();
                    // The Engine may not notice that a command went away with its container.
                    if self.broken && runner.stopped().await.is_some() {
                        return None;
                    }
                }
                Ok(_) if self.broken => return None,
                Ok(_) => ended = true,
                // The container went away, and its execs with it.
                Err(error) if status(&error) == Some(404) => {
                    if self.broken {
                        return None;
                    }
                    ended = true;
                }
                Err(error) if is_refusal(&error) => missed.reset(),
                Err(error) => {
                    if let Err(gone) = missed.add(engine, &error) {
                        self.lost = Some(gone);
                        return None;
                    }
                }
            }
        }
    }

    /// How it ended, once its output has.
    ///
    /// # Errors
    /// Its shell was never started, as for a user who is not there. Or the Engine does not answer any
    /// more.
    pub(crate) async fn status(mut self) -> Result<ExitStatus> {
        if let Some(lost) = self.lost.take() {
            return Err(lost);
        }
        let status = self.ender.runner.status(&self.id).await?;
        let started = self.ender.process.take().is_some();
        match status {
            // A shell ends so as well, for a command that is not there.
            ExitStatus::Code(126 | 127) if !started => {
                let said = String::from_utf8_lossy(&self.first_line.other).trim().to_owned();
                Err(Runner::not_started(&said, self.user.as_deref()))
            }
            status => Ok(status),
        }
    }
}

/// Ends a command when dropped, unless it has ended.
struct Ender {
    runner: Runner,
    /// The number of its process in the container, once it is known.
    process: Option<String>,
}

impl Drop for Ender {
    fn drop(&mut self) {
        let (Some(process), Ok(runtime)) =
            (self.process.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let runner = self.runner.clone();
        let ending = async move {
            let ended = tokio::time::timeout(END_TIMEOUT, runner.end(&process)).await;
            // The container may be gone already, and the command with it.
            tracing::debug!(?ended, process, "ended a command that nobody waits for");
        };
        self.runner.ending.spawn_on(ending, &runtime);
    }
}

#[cfg(test)]
mod tests;
