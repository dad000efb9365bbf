//! `shutdown_command` and its kin: how a machine is turned off when it is ready.

use std::time::Duration;

use ingot_sdk::communicator::UiOutput;
use ingot_sdk::{Communicator, Context, Error, GoDuration, RemoteCommand, Result, RunContext};
use schemars::JsonSchema;
use serde::Deserialize;

/// How long a machine may take to turn itself off.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The options, to be flattened into a builder's own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ShutdownOptions {
    /// The command that turns the machine off. Without one its power is cut.
    pub shutdown_command: Option<String>,
    /// How long that may take: 5m.
    pub shutdown_timeout: Option<GoDuration>,
    /// Whether to wait for the machine to turn itself off rather than do it.
    #[serde(default)]
    pub disable_shutdown: bool,
}

/// How a machine's power came to be off, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerState {
    /// The machine has turned itself off.
    Off,
    /// It runs, and the options say that its power is to be cut.
    On,
}

impl ShutdownOptions {
    /// How long the machine may take.
    pub fn timeout(&self) -> Duration {
        // Packer takes zero for "not set".
        let set = self.shutdown_timeout.filter(|timeout| !timeout.0.is_zero());
        set.map_or(DEFAULT_TIMEOUT, |timeout| timeout.0)
    }

    /// Turns the machine off the way the options say and waits until `stopped` is ready, which
    /// is when it no longer runs. Without a `communicator` (of type `none`), or with
    /// `disable_shutdown`, only waits. With no command to run, returns [`PowerState::On`]; then
    /// the builder cuts the power.
    ///
    /// # Errors
    /// The command could not be run, the machine still runs after `shutdown_timeout`, or the
    /// build was cancelled.
    pub async fn shut_down(
        &self,
        ctx: &RunContext,
        communicator: Option<&dyn Communicator>,
        stopped: impl Future<Output = Result<()>>,
    ) -> Result<PowerState> {
        let command = self.shutdown_command.as_deref().filter(|command| !command.is_empty());
        let mut stopped = std::pin::pin!(stopped);
        match (communicator, command) {
            (None, _) => ctx.ui.say("Waiting for shutdown..."),
            _ if self.disable_shutdown => ctx.ui.say("Waiting for shutdown..."),
            (Some(_), None) => return Ok(PowerState::On),
            (Some(communicator), Some(command)) => {
                ctx.ui.say("Gracefully halting virtual machine...");
                let output = UiOutput::new(ctx.ui.clone());
                let command = RemoteCommand::new(command);
                tokio::select! {
                    biased;
                    () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
                    // The machine may be off before the command's answer comes.
                    ended = &mut stopped => return ended.map(|()| PowerState::Off),
                    // How it ended says nothing: the link may be gone before it does.
                    ran = communicator.exec(&command, &output) => {
                        ran.context("running shutdown_command")?;
                    }
                }
                output.finish();
            }
        }
        let timeout = self.timeout();
        tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => Err(Error::Cancelled),
            ended = stopped => ended.map(|()| PowerState::Off),
            () = tokio::time::sleep(timeout) => Err(self.still_on(communicator.is_some(), timeout)),
        }
    }

    fn still_on(&self, reached: bool, timeout: Duration) -> Error {
        let timeout = GoDuration(timeout);
        match (reached, self.disable_shutdown) {
            (true, true) => Error::new(format!(
                "the machine still runs {timeout} after it was provisioned, and nothing tells it to \
                 shut down (disable_shutdown = true)"
            ))
            .hint(
                "let the last provisioner turn it off, or leave disable_shutdown out; \
                 shutdown_timeout says how long to wait",
            ),
            (true, false) => Error::new(format!(
                "the machine still runs {timeout} after it was told to shut down"
            ))
            .hint("check shutdown_command, or raise shutdown_timeout"),
            (false, _) => Error::new(format!(
                "the machine still runs after {timeout}, and nothing tells it to shut down \
                 (communicator = \"none\")"
            ))
            .hint(
                "it has to turn itself off when it is ready; raise shutdown_timeout if it takes \
                 longer",
            ),
        }
    }
}
