//! Remote shells, and the commands that run in them.

use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::{ExitStatus, OutputSink, RemoteCommand};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::answer;
use crate::failure::Failure;
use crate::message::{Request, forbidden};
use crate::service::Service;

/// How much input goes into one message, in bytes; encoded it must fit into an envelope.
const INPUT_PIECE: usize = 64 * 1024;
/// How long deleting a shell may hold up a build that is being cancelled.
const FAREWELL: Duration = Duration::from_secs(3);
/// How often in a row asking for output may fail on the network before the command counts as
/// lost, and the pause in between. The command goes on meanwhile and its output is kept.
const MISSES: u32 = 3;
const MISS_PAUSE: Duration = Duration::from_secs(2);

/// Runs one command in a shell of its own.
///
/// # Errors
/// There is no shell, or as for [`Shell::run`].
pub(crate) async fn run(
    service: &Arc<Service>,
    command: &RemoteCommand,
    output: &dyn OutputSink,
) -> Result<ExitStatus, Failure> {
    let shell = Shell::open(service).await?;
    let status = shell.run(command, output).await;
    match status {
        Ok(ExitStatus::Disconnected) => shell.abandon(),
        _ => shell.close().await,
    }
    status
}

/// A shell on the machine. It is deleted there when this is dropped, with what runs in it.
pub(crate) struct Shell {
    service: Arc<Service>,
    id: String,
    open: bool,
}

impl Shell {
    /// A new shell.
    pub(crate) async fn open(service: &Arc<Service>) -> Result<Shell, Failure> {
        let answer = service.ask(Request::Create).await?;
        let id = answer::shell_id(&answer)?;
        Ok(Shell { service: Arc::clone(service), id, open: true })
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// It could not be started, or the service refused to say more about it.
    pub(crate) async fn run(
        &self,
        command: &RemoteCommand,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus, Failure> {
        let line = &command.command;
        if let Some(character) = forbidden(line) {
            return Err(Failure::Request(format!(
                "a command with the character U+{:04X} cannot be sent by WinRM",
                u32::from(character)
            )));
        }
        let shell = self.id.as_str();
        let answer = self.service.ask(Request::Command { shell, line }).await?;
        let id = answer::command_id(&answer)?;
        let feed = async {
            if let Some(bytes) = &command.stdin {
                // A command need not read its input: what it does not take is its business.
                if let Err(error) = self.feed(&id, bytes).await {
                    tracing::debug!(?error, "a command did not take its input");
                }
            }
        };
        let ((), status) = tokio::join!(feed, self.follow(&id, output));
        let status = status?;
        if status != ExitStatus::Disconnected {
            // Windows keeps what it knows about a command until the client releases it.
            let forget = Request::Terminate { shell, command: &id };
            if let Err(error) = self.service.ask(forget).await {
                tracing::debug!(?error, "a command that has ended could not be released");
            }
        }
        Ok(status)
    }

    async fn feed(&self, command: &str, bytes: &[u8]) -> Result<(), Failure> {
        let shell = self.id.as_str();
        let mut rest = bytes;
        loop {
            let (piece, left) = rest.split_at(rest.len().min(INPUT_PIECE));
            let end = left.is_empty();
            self.service.ask(Request::Send { shell, command, bytes: piece, end }).await?;
            if end {
                return Ok(());
            }
            rest = left;
        }
    }

    /// Passes on what a command prints until it ends.
    async fn follow(&self, command: &str, output: &dyn OutputSink) -> Result<ExitStatus, Failure> {
        let shell = self.id.as_str();
        let mut misses = 0;
        loop {
            let answer = match self.service.ask(Request::Receive { shell, command }).await {
                Ok(answer) => answer,
                Err(Failure::Fault(fault)) if fault.is_still_running() => {
                    misses = 0;
                    continue;
                }
                Err(Failure::Fault(fault)) if fault.is_shell_lost() => {
                    tracing::info!(text = fault.text, "the remote shell is gone");
                    return Ok(ExitStatus::Disconnected);
                }
                Err(failure) if failure.is_network() => {
                    misses += 1;
                    tracing::info!(?failure, misses, "lost touch with a command");
                    if misses == MISSES {
                        return Ok(ExitStatus::Disconnected);
                    }
                    tokio::time::sleep(MISS_PAUSE).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            misses = 0;
            let news = answer::output(&answer)?;
            for (is_error, bytes) in &news.pieces {
                match is_error {
                    true => output.stderr(bytes),
                    false => output.stdout(bytes),
                }
            }
            if let Some(code) = news.exit {
                return Ok(ExitStatus::Code(code));
            }
        }
    }

    /// Deletes the shell. That it may be gone already does not matter.
    pub(crate) async fn close(mut self) {
        self.open = false;
        delete(&self.service, &self.id).await;
    }

    /// Leaves the shell of a machine that is gone.
    pub(crate) fn abandon(mut self) {
        self.open = false;
    }
}

impl Drop for Shell {
    /// Whoever waited for a command gave up, as when the build is cancelled: the command must not
    /// go on, and Windows allows few shells at once.
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (service, id) = (Arc::clone(&self.service), std::mem::take(&mut self.id));
        let deleting = async move {
            let _ = tokio::time::timeout(FAREWELL, delete(&service, &id)).await;
        };
        // The process may end right after this, so it has to be done before that.
        match runtime.runtime_flavor() {
            RuntimeFlavor::MultiThread => {
                tokio::task::block_in_place(|| runtime.block_on(deleting));
            }
            _ => drop(runtime.spawn(deleting)),
        }
    }
}

async fn delete(service: &Service, id: &str) {
    if let Err(failure) = service.ask(Request::Delete { shell: id }).await {
        tracing::debug!(?failure, "a remote shell could not be deleted");
    }
}
