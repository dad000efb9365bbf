//! What the provisioners that upload a script and run it share.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ingot_sdk::communicator::{Script, UiOutput};
use ingot_sdk::retry::Retry;
use ingot_sdk::{Communicator, Error, ExitStatus, GoDuration, RemoteCommand, Result, RunContext};

/// A file to be there before a command starts.
pub(crate) struct Upload<'a> {
    /// Where.
    pub path: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
    /// Its permission bits.
    pub mode: u32,
}

impl Upload<'_> {
    /// Uploads it.
    ///
    /// # Errors
    /// What went wrong.
    pub(crate) async fn send(&self, link: &dyn Communicator) -> Result<()> {
        let sent = link.upload_script(self.path, self.bytes, self.mode).await;
        sent.map_err(|error| error.context("Error uploading script"))
    }
}

/// How long to try to start a script: what `start_retry_timeout` says. As in Packer, zero is as if it
/// were not set.
pub(crate) fn start_timeout(given: Option<GoDuration>) -> Duration {
    let given = given.map(|limit| limit.0).filter(|limit| !limit.is_zero());
    given.unwrap_or(Duration::from_secs(300))
}

/// How often a connection that was lost after an upload is taken for a machine that went down. Some
/// servers and gateways end the connection after each command; a script starts over a new one there.
const MAX_RETRIES_OF_LOST_UPLOADS: u32 = 2;

/// How often to look whether a machine is still away.
const LOOK: Duration = Duration::from_millis(250);

/// Waits for `work` unless the machine is away when `limit` is over: how long a communicator itself
/// waits for a machine is for machines that are made, which may take hours. `option` is what the limit
/// comes from.
///
/// # Errors
/// What `work` failed with, or that the machine is away.
pub(crate) async fn unless_away<T>(
    link: &dyn Communicator,
    limit: Duration,
    option: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let away = async {
        tokio::time::sleep(limit).await;
        while !link.is_away() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        () = away => Err(Error::new(format!(
            "the connection was lost, and the machine was not back within {} ({option})",
            GoDuration(limit)
        ))),
    }
}

/// How a script is started: again while the machine is away, because it may be rebooting. What
/// does not mend itself, such as a directory that is not there, ends it at once.
pub(crate) struct Start<'a> {
    /// The build.
    pub ctx: &'a RunContext,
    /// The machine.
    pub link: &'a dyn Communicator,
    /// How long to try; 5m.
    pub limit: Option<GoDuration>,
    /// Whether a lone script may be removed after it ran, where the communicator can upload, run
    /// and remove it in one step.
    pub removes: bool,
}

/// The outcome of a script.
pub(crate) struct ScriptOutcome {
    /// Its status.
    pub status: ExitStatus,
    /// Whether it was removed.
    pub removed: bool,
}

impl Start<'_> {
    /// Uploads `files` and runs `command`, whose output is shown. What has started is never
    /// started again.
    ///
    /// # Errors
    /// It could not be started, or not in time.
    pub(crate) async fn run(&self, files: &[Upload<'_>], command: &str) -> Result<ScriptOutcome> {
        let limit = start_timeout(self.limit);
        let retry = Retry { timeout: Some(limit), ..Retry::default() };
        let output = UiOutput::new(self.ctx.ui.clone());
        let lost = AtomicU32::new(0);
        let starting = retry.run(
            &self.ctx.cancel,
            |error| {
                let passes = error.is_transient();
                if passes {
                    let ui = &self.ctx.ui;
                    ui.message(format!("Could not start the script, retrying: {error}"));
                }
                passes
            },
            |_| self.attempt(files, command, &output, &lost),
        );
        // A script that runs is not away: its communicator waits for nothing else.
        let ran = unless_away(self.link, limit, "start_retry_timeout", starting).await?;
        output.finish();
        Ok(ran)
    }

    /// `lost` counts the attempts in which the connection was lost after an upload.
    async fn attempt(
        &self,
        files: &[Upload<'_>],
        command: &str,
        output: &UiOutput,
        lost: &AtomicU32,
    ) -> Result<ScriptOutcome> {
        if let ([Upload { path, bytes, .. }], true) = (files, self.removes)
            && let Some(status) =
                self.link.run_script(&Script { path, bytes, command }, output).await
        {
            return Ok(ScriptOutcome { status: status?, removed: true });
        }
        // A machine that goes down in between may come up without what it was sent, as in /tmp.
        let needs_same_connection = lost.load(Ordering::Relaxed) < MAX_RETRIES_OF_LOST_UPLOADS;
        let mut connection = None;
        for file in files {
            file.send(self.link).await?;
            let now = self.link.connection();
            if *connection.get_or_insert(now) != now && needs_same_connection {
                lost.fetch_add(1, Ordering::Relaxed);
                let message = "the connection was lost between uploads, and had to be made again";
                return Err(Error::new(message).transient());
            }
        }
        let command = RemoteCommand::new(command);
        let ran = if needs_same_connection {
            let connection = connection.unwrap_or_else(|| self.link.connection());
            let ran = self.link.exec_over(connection, &command, output).await;
            if ran.is_err() && self.link.connection() != connection {
                lost.fetch_add(1, Ordering::Relaxed);
            }
            ran
        } else {
            self.link.exec(&command, output).await
        };
        Ok(ScriptOutcome { status: ran?, removed: false })
    }
}

/// Says that a provisioner that failed removes `files` from the machine now; false if there is nothing
/// to remove: `left` is whether files of it may be there.
pub(crate) fn announces_removal(ctx: &RunContext, left: &AtomicBool, files: &[String]) -> bool {
    let removes = left.load(Ordering::Relaxed) && !files.is_empty();
    if removes {
        ctx.ui.say("Removing the script from the machine. If it restarts, this waits for it...");
    }
    removes
}

/// `pause_after`.
pub(crate) async fn pause(ctx: &RunContext, pause: GoDuration) {
    if !pause.0.is_zero() {
        ctx.ui.say(format!("Pausing {pause} after this provisioner..."));
        tokio::time::sleep(pause.0).await;
    }
}
