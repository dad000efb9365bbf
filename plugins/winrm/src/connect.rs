//! Waiting for a machine.

use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::retry::Retry;
use ingot_sdk::{Communicator, GoDuration, RemoteCommand, Result, RunContext, powershell};
use parking_lot::Mutex;

use crate::communicator::WinrmCommunicator;
use crate::config::WinrmSettings;
use crate::failure::{Endpoint, Failure};
use crate::machine::Machine;
use crate::service::Service;
use crate::shell;

/// The longest pause between two attempts.
const PAUSE: Duration = Duration::from_secs(5);
/// What the machine prints once PowerShell works.
const GREETING: &str = "WinRM connected.";

/// The machine to connect to.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Its name or address.
    pub host: String,
    /// Its port, where it is not the one in the options.
    pub port: Option<u16>,
    /// The password, where the platform and not the options know it.
    pub password: Option<String>,
}

impl WinrmSettings {
    /// Waits until the machine runs commands.
    ///
    /// # Errors
    /// What kept it from that when the time allowed is used up or trying again makes no sense;
    /// [`ingot_sdk::Error::Cancelled`] when the build is cancelled.
    pub async fn connect(
        &self,
        ctx: &RunContext,
        target: &Target,
    ) -> Result<Arc<dyn Communicator>> {
        let endpoint = Endpoint {
            host: target.host.clone(),
            port: target.port.unwrap_or(self.port),
            user: self.user.clone(),
            tls: self.tls,
            ntlm: self.access.ntlm,
        };
        // What the platform made is a secret; of an option the template says whether it is.
        target.password.iter().for_each(|password| ctx.ui.mask(password));
        let password = target.password.clone().or_else(|| self.password.clone());
        let password = password.unwrap_or_default();
        let service = Service::new(endpoint, password, self.access)?;
        let service = Arc::new(service);
        self.wait(ctx, &service).await?;
        Ok(Arc::new(WinrmCommunicator(Machine::new(service, ctx.ui.clone()))))
    }

    async fn wait(&self, ctx: &RunContext, service: &Arc<Service>) -> Result<()> {
        ctx.ui.say("Waiting for WinRM to become available...");
        let last: Mutex<Option<Failure>> = Mutex::default();
        let lock = || last.lock();
        let mut reported = String::new();
        let retry = Retry {
            initial: Duration::from_secs(1),
            max: PAUSE,
            tries: None,
            timeout: Some(self.timeout),
        };
        let connecting = retry.run(
            &ctx.cancel,
            |error| {
                let (passes, is_network) = match &*lock() {
                    Some(failure) => (failure.may_pass(), failure.is_network()),
                    None => (true, true),
                };
                // That the machine is not up yet is what waiting is for; that it is up and
                // refuses is worth knowing, once.
                let text = error.to_string();
                if passes && !is_network && reported != text {
                    ctx.ui.message(format!("{text}; trying again"));
                    reported = text;
                }
                passes
            },
            |_| async {
                greet(service).await.map_err(|failure| {
                    tracing::debug!(?failure, "no connection yet");
                    let error = failure.at(service.endpoint());
                    *lock() = Some(failure);
                    error
                })
            },
        );
        // An attempt does not outlast the limit.
        let result = tokio::time::timeout(self.timeout, connecting).await;
        let last = lock().take();
        let error = match result {
            Ok(Ok(())) => {
                ctx.ui.message(GREETING);
                ctx.ui.say("Connected to WinRM!");
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(_) => last.as_ref().unwrap_or(&Failure::Silence).at(service.endpoint()),
        };
        match last {
            Some(failure) if !failure.may_pass() => Err(error),
            _ => Err(error
                .context(format_args!("no WinRM connection within {}", GoDuration(self.timeout)))),
        }
    }
}

/// Lets the machine say something: its service may be up long before PowerShell is.
async fn greet(service: &Arc<Service>) -> Result<(), Failure> {
    let script = format!("Write-Output {}", powershell::quote(GREETING));
    let command = RemoteCommand::new(powershell::command("powershell", &script));
    let output = CapturedOutput::default();
    let status = shell::run(service, &command, &output).await?;
    if output.stdout_text().contains(GREETING) {
        return Ok(());
    }
    let said = output.stderr_text();
    let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing").trim();
    Err(Failure::Unreadable(format!("PowerShell does not work yet ({status:?}, it said: {said})")))
}
