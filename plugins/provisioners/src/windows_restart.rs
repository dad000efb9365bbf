//! `provisioner "windows-restart"`

use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::communicator::{CapturedOutput, UiOutput, unsigned_exit_code};
use ingot_sdk::retry::Retry;
use ingot_sdk::{
    Communicator, Component, ConfigErrors, Decoded, Effect, Error, ExitStatus, Facts,
    GeneratedData, GoDuration, OutputSink, PrepareContext, Prepared, Provision, RemoteCommand,
    Result, RunContext, async_trait, powershell,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::remote_script::unless_away;

/// What Windows' `shutdown` says when a shutdown is under way, or planned already.
const UNDER_WAY: [i32; 2] = [1115, 1190];
/// What it says while the service it needs is going down.
const UNKNOWN_INTERFACE: i32 = 1717;
/// The pause between two looks at the machine.
const PAUSE: Duration = Duration::from_secs(5);
/// The pause between two looks at a machine that is going down.
const GOING_DOWN: Duration = Duration::from_secs(10);
/// How much is kept of what a command says, in bytes; all of it is shown.
const LONGEST_ANSWER: usize = 1 << 20;
/// What the machine says of itself once it is up.
const UP: &str = "restarted.";
/// The registry keys that are there while Windows wants to be restarted.
const PENDING: [&str; 3] = [
    r"HKLM:SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending",
    r"HKLM:SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\PackagesPending",
    r"HKLM:Software\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootInProgress",
];

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Options {
    /// What restarts the machine; `shutdown /r /f /t 0`.
    restart_command: Option<String>,
    /// A command that works once the machine is back. By default PowerShell is asked for the
    /// machine's name.
    restart_check_command: Option<String>,
    /// How long the restart may take; 5m.
    restart_timeout: Option<GoDuration>,
    /// Wait until none of `registry_keys` is there.
    #[serde(default)]
    check_registry: bool,
    /// Registry keys that say that a restart is pending; those of Windows' component servicing.
    #[serde(default)]
    registry_keys: Vec<String>,
}

/// `provisioner "windows-restart"`
pub(crate) struct WindowsRestartProvisioner;

/// Restarts the machine and waits until it is back.
pub(crate) struct WindowsRestart {
    options: Options,
}

impl Component for WindowsRestartProvisioner {
    const NAME: &'static str = "windows-restart";
    type Options = Options;
    type Ready = WindowsRestart;

    fn facts(&self) -> Facts {
        Facts::of_effect(Effect::Options)
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<WindowsRestart>, ConfigErrors> {
        Ok(Prepared::new(WindowsRestart { options }))
    }
}

#[async_trait]
impl Provision for WindowsRestart {
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        _: &GeneratedData,
    ) -> Result<()> {
        let limit = self.options.restart_timeout.filter(|limit| !limit.0.is_zero());
        let limit = limit.map_or(Duration::from_secs(5 * 60), |limit| limit.0);
        let restart = Restart { options: &self.options, ctx, link: &*communicator };
        ctx.ui.say("Restarting Machine");
        restart.order(limit).await?;
        ctx.ui.say("Waiting for machine to restart...");
        let back = async {
            restart.wait_for_the_end().await;
            restart.wait_for_the_start().await;
        };
        if tokio::time::timeout(limit, back).await.is_err() {
            return Err(Error::new("Timeout waiting for machine to restart.").hint(format!(
                "it was not back within {}; set restart_timeout to a longer time",
                GoDuration(limit)
            )));
        }
        ctx.ui.say("Machine successfully restarted, moving on");
        Ok(())
    }
}

struct Restart<'a> {
    options: &'a Options,
    ctx: &'a RunContext,
    link: &'a dyn Communicator,
}

impl Restart<'_> {
    /// Runs a command, shows what it prints and returns its standard output.
    async fn run(&self, command: &str) -> Result<(ExitStatus, String)> {
        let captured = CapturedOutput::of_at_most(LONGEST_ANSWER);
        let output = Both(UiOutput::new(self.ctx.ui.clone()), captured);
        let status = self.link.exec(&RemoteCommand::new(command), &output).await?;
        Ok((status, output.1.stdout_text()))
    }

    async fn order(&self, limit: Duration) -> Result<()> {
        let given = self.options.restart_command.as_deref().filter(|text| !text.is_empty());
        let command = given.unwrap_or("shutdown /r /f /t 0 /c \"ingot restart\"");
        let retry = Retry { timeout: Some(limit), ..Retry::default() };
        let ordering = retry.run(&self.ctx.cancel, Error::is_transient, |_| self.run(command));
        let ran = unless_away(self.link, limit, "restart_timeout", ordering).await?;
        match ran.0 {
            // It may be gone before it can say that it goes.
            ExitStatus::Disconnected | ExitStatus::Code(0) => Ok(()),
            ExitStatus::Code(code) if UNDER_WAY.contains(&code) => Ok(()),
            ExitStatus::Code(code) => {
                let code = unsigned_exit_code(code);
                Err(Error::new(format!("Restart script exited with non-zero exit status: {code}")))
            }
        }
    }

    /// Waits until the machine does not answer any more, or turns out to have restarted already:
    /// it accepts an order to restart in a minute, which is taken back.
    async fn wait_for_the_end(&self) {
        loop {
            let order = RemoteCommand::new("shutdown /r /f /t 60 /c \"ingot restart test\"");
            let status = self.link.exec(&order, &CapturedOutput::default()).await;
            tracing::debug!(?status, "is the machine going down?");
            match status {
                Ok(ExitStatus::Code(UNKNOWN_INTERFACE)) => {}
                Ok(ExitStatus::Code(code)) if UNDER_WAY.contains(&code) => {}
                Ok(ExitStatus::Code(0)) => {
                    let back = RemoteCommand::new("shutdown /a");
                    let status = self.link.exec(&back, &CapturedOutput::default()).await;
                    if !matches!(status, Ok(ExitStatus::Code(0))) {
                        self.ctx.ui.error(format!(
                            "The test restart could not be taken back ({status:?}); the machine \
                             may restart once more."
                        ));
                    }
                    return;
                }
                _ => return,
            }
            tokio::time::sleep(GOING_DOWN).await;
        }
    }

    /// Waits until the machine runs commands and wants no further restart.
    async fn wait_for_the_start(&self) {
        let own = self.options.restart_check_command.as_deref().filter(|text| !text.is_empty());
        let mut own_is_due = own;
        loop {
            tokio::time::sleep(PAUSE).await;
            if let Some(command) = own_is_due {
                if let Err(error) = self.run(command).await {
                    tracing::debug!(%error, "the machine is not back yet");
                    continue;
                }
                own_is_due = None;
            }
            // Commands may run before PowerShell does, whose modules load late.
            let up = powershell::command(
                "powershell",
                &format!("Write-Output (\"{{0}} {UP}\" -f [Net.Dns]::GetHostName())"),
            );
            match self.run(&up).await {
                Ok((_, said)) if said.contains(UP) => {}
                other => {
                    tracing::debug!(?other, "PowerShell is not ready yet");
                    continue;
                }
            }
            if !self.options.check_registry || !self.restart_is_pending().await {
                return;
            }
        }
    }

    async fn restart_is_pending(&self) -> bool {
        let own = self.options.registry_keys.iter().map(String::as_str);
        let keys: Vec<&str> = match self.options.registry_keys.is_empty() {
            true => PENDING.to_vec(),
            false => own.collect(),
        };
        for key in keys {
            let script = format!("Test-Path {}", powershell::quote(key));
            let command = RemoteCommand::new(powershell::command("powershell", &script));
            let answer = CapturedOutput::default();
            let asked = self.link.exec(&command, &answer).await;
            // Without a response the restart is not known to be over.
            if asked.is_err() || answer.stdout_text().contains("True") {
                tracing::info!(key, ?asked, "a restart is pending");
                return true;
            }
        }
        false
    }
}

/// Shows output and keeps it.
struct Both(UiOutput, CapturedOutput);

impl OutputSink for Both {
    fn stdout(&self, bytes: &[u8]) {
        self.0.stdout(bytes);
        self.1.stdout(bytes);
    }

    fn stderr(&self, bytes: &[u8]) {
        self.0.stderr(bytes);
        self.1.stderr(bytes);
    }
}
