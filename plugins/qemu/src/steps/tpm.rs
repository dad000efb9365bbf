//! The software TPM.

use std::path::Path;
use std::time::Duration;

use ingot_sdk::steps::Outcome;
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};
use ingot_vm::scratch::Scratch;

use super::State;
use crate::process::Process;

/// How long swtpm may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of its socket.
const SOCKET: &str = "vtpm.sock";

/// A TPM for one machine.
pub(super) struct Tpm {
    process: Process,
    state: Scratch,
}

impl Tpm {
    /// One that an earlier run started, with its state in `directory`.
    ///
    /// # Errors
    /// It does not run any more.
    pub(super) fn resume(ctx: &RunContext, directory: &Path) -> Result<Tpm> {
        let marker = directory.join(SOCKET).display().to_string();
        let process = Process::resume(ctx, "swtpm", &marker)?;
        Ok(Tpm { process, state: Scratch::resume(ctx, directory)? })
    }

    /// Where its state is.
    pub(super) fn directory(&self) -> &Path {
        self.state.path()
    }
}

/// Starts swtpm.
pub(super) struct StartTpm;

#[async_trait]
impl Step<State> for StartTpm {
    fn name(&self) -> &'static str {
        "start TPM"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let directory = Scratch::create_for_socket(ctx, SOCKET)?;
        let (path, socket) = (directory.path().display(), directory.path().join(SOCKET));
        let mut argv = vec![
            "swtpm".to_owned(),
            "socket".to_owned(),
            "--tpmstate".to_owned(),
            format!("dir={path}"),
            "--ctrl".to_owned(),
            format!("type=unixio,path={}", socket.display()),
        ];
        if !state.settings.raw.use_tpm1 {
            argv.push("--tpm2".to_owned());
        }
        let marker = socket.display().to_string();
        let process = Process::start(ctx, "swtpm", argv, &marker)?;
        let tpm = state.tpm.insert(Tpm { process, state: directory });
        tokio::select! {
            biased;
            error = tpm.process.unexpected_end() => {
                let hint = "install it (apt install swtpm), or set vtpm = false";
                return Err(error.hint(hint).context("starting the TPM"));
            }
            ready = tokio::time::timeout(START_TIMEOUT, listens(&socket)) => {
                ready.map_err(|_| Error::new("swtpm does not listen"))?;
            }
        }
        state.runtime.tpm_socket = Some(socket);
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, _: Outcome) {
        if let Some(mut tpm) = state.tpm.take()
            && let Err(error) = tpm.process.stop().await
        {
            ctx.ui.error(error.to_string());
        }
    }
}

async fn listens(socket: &Path) {
    while !socket.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
