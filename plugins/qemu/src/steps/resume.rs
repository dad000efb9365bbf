//! A machine that a build leaves running for `-resume`, and goes on with.

use std::io::ErrorKind;
use std::path::Path;

use ingot_communicator::{CommunicatorKind, KeyPair};
use ingot_sdk::{Context, Error, OnError, RecordedPath, Result, RunContext, Step, async_trait};
use ingot_vm::scratch::ScratchFile;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::State;
use super::output::take_output;
use super::tpm::Tpm;
use crate::machine::Machine;
use crate::output_directory::OutputDirectory;

/// What a later run needs to go on with the machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeptMachine {
    /// The directory that relative paths in the options start from.
    directory: RecordedPath,
    /// The temporary directories and files that QEMU uses.
    scratch: RecordedPath,
    tpm: Option<RecordedPath>,
    cd: Option<RecordedPath>,
    floppy: Option<RecordedPath>,
    accelerator: String,
    forwarded_port: Option<u16>,
    vnc_port: u16,
    efi_variables: Option<RecordedPath>,
    http_port: u16,
    /// What the output directory is known by, if the record is not of a version before that.
    #[serde(default)]
    output: Option<String>,
    #[serde(default)]
    secrets: Secrets,
}

/// What is in a file of its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Secrets {
    /// The private key that was made for the build.
    private_key: Option<String>,
}

/// Says how the machine is found that a build leaves, where it is to be kept.
pub(super) fn keep(ctx: &RunContext, state: &State) {
    let Some(machine) = state.machine.as_ref().filter(|machine| machine.runs()) else { return };
    if ctx.prepare.on_error != OnError::Keep {
        return;
    }
    let Ok(directory) = std::env::current_dir() else { return };
    // The user's own key is read again.
    let made = match &state.settings.communication.kind {
        CommunicatorKind::Ssh(ssh) => ssh.login.key.is_none(),
        CommunicatorKind::Winrm(_) | CommunicatorKind::None => false,
    };
    let key = state.key.as_ref().filter(|_| made);
    let path = |path: &Path| RecordedPath(path.to_owned());
    let file = |file: &Option<ScratchFile>| file.as_ref().map(|file| path(file.path()));
    let output = state.directory.as_ref().and_then(OutputDirectory::identity);
    let kept = KeptMachine {
        directory: RecordedPath(directory),
        scratch: path(machine.scratch()),
        tpm: state.tpm.as_ref().map(|tpm| path(tpm.directory())),
        cd: file(&state.cd),
        floppy: file(&state.floppy),
        accelerator: state.runtime.accelerator.clone(),
        forwarded_port: state.runtime.forwarded_port,
        vnc_port: state.runtime.vnc_port,
        efi_variables: state.runtime.efi_variables.as_deref().map(path),
        http_port: state.http_port(),
        output: output.map(str::to_owned),
        secrets: Secrets { private_key: key.map(|key| key.private.clone()) },
    };
    ctx.hook.keep_machine(json!(kept));
}

/// What to do where the machine that was kept is of no use any more.
const REMOVE_KEPT: &str =
    "`ingot cleanup -kept` removes what is left of it; then build without -resume";

/// The directory at `path`, which is the output directory known by `identity`.
///
/// # Errors
/// It was removed or replaced, or cannot be looked at.
fn find_output(path: &Path, identity: Option<&str>) -> Result<OutputDirectory> {
    let gone = || {
        let shown = path.display();
        let why = format!("the output directory {shown} was removed or replaced");
        Error::new(why).context("the machine that was kept has lost its disks").hint(REMOVE_KEPT)
    };
    let found = match std::path::absolute(path).and_then(std::fs::canonicalize) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(gone()),
        found => OutputDirectory::take(&found.context("finding the output directory")?)?,
    };
    match identity.is_none() || found.identity() == identity {
        true => Ok(found),
        false => Err(gone()),
    }
}

/// Takes over a machine that was kept, in the place of the steps up to the one that starts it.
pub(super) struct ResumeMachine(pub KeptMachine);

#[async_trait]
impl Step<State> for ResumeMachine {
    fn name(&self) -> &'static str {
        "resume machine"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let kept = &self.0;
        if std::env::current_dir().is_ok_and(|here| here != kept.directory.0) {
            return Err(Error::new("the machine was made in another directory").hint(format!(
                "run this in {}, where the paths in the template lead to the same files",
                kept.directory.0.display()
            )));
        }
        // Before anything is taken over that would be removed with it.
        let output = find_output(&state.settings.output, kept.output.as_deref())?;
        let machine = Machine::resume(ctx, &kept.scratch.0).await.map_err(|error| {
            error.context("the machine that was kept is gone").hint(REMOVE_KEPT)
        })?;
        state.machine = Some(machine);
        ctx.ui.say("Going on with the machine that was kept");
        take_output(ctx, state, output)?;
        state.tpm = kept.tpm.as_ref().map(|tpm| Tpm::resume(ctx, &tpm.0)).transpose()?;
        let file = |file: &Option<RecordedPath>| {
            file.as_ref().map(|file| ScratchFile::resume(ctx, &file.0)).transpose()
        };
        (state.cd, state.floppy) = (file(&kept.cd)?, file(&kept.floppy)?);
        state.runtime.accelerator.clone_from(&kept.accelerator);
        state.runtime.forwarded_port = kept.forwarded_port;
        state.runtime.vnc_port = kept.vnc_port;
        state.runtime.efi_variables = kept.efi_variables.as_ref().map(|path| path.0.clone());
        state.http_port_before = Some(kept.http_port).filter(|&port| port != 0);
        if let CommunicatorKind::Ssh(ssh) = &state.settings.communication.kind {
            state.key = match (&ssh.login.key, &kept.secrets.private_key) {
                (Some(file), _) => Some(KeyPair::read(&file.path)?),
                (None, Some(private)) => {
                    let pair = KeyPair::from_private(private.clone(), "the key that was kept")?;
                    pair.mask(&ctx.ui);
                    Some(pair)
                }
                (None, None) => None,
            };
        }
        Ok(())
    }
}
