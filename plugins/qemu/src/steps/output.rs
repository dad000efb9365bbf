//! The directory for what is built, and the UEFI variables in it.

use std::io::ErrorKind;

use ingot_sdk::output_file::CreatedDirectories;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, Error, JournalEntry, Result, RunContext, Step, async_trait};

use super::State;
use crate::output_directory::OutputDirectory;
use crate::reclaim::output_resource;

/// The name Packer gives the machine's copy of the UEFI variables.
pub(crate) const EFI_VARIABLES: &str = "efivars.fd";

/// Takes over `directory` as the output directory.
///
/// # Errors
/// It cannot be written down.
pub(super) fn take_output(
    ctx: &RunContext,
    state: &mut State,
    directory: OutputDirectory,
) -> Result<()> {
    state.output = Some(JournalEntry::open(&ctx.journal, directory.resource())?);
    state.directory = Some(directory);
    Ok(())
}

impl State {
    /// Looks whether the output directory is still the build's own.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn check_output(&self) -> Result<()> {
        if self.directory.as_ref().is_none_or(OutputDirectory::is_there) {
            return Ok(());
        }
        let directory = self.settings.output.display();
        Err(Error::new(format!("the output directory {directory} was removed or replaced"))
            .hint("give each build that runs at the same time an output_directory of its own"))
    }
}

/// Creates the output directory; with `-force` in place of what was there.
pub(super) struct PrepareOutput;

#[async_trait]
impl Step<State> for PrepareOutput {
    fn name(&self) -> &'static str {
        "prepare output directory"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let directory = &state.settings.output;
        let creating = || format!("creating the output directory {}", directory.display());
        if ctx.prepare.force && directory.exists() {
            if OutputDirectory::is_in_use(directory) {
                let shown = directory.display();
                let error = Error::new(format!("a build that runs writes to {shown}"));
                return Err(error.hint("wait for it or stop it, or name another output_directory"));
            }
            ctx.ui.say("Deleting previous output directory...");
            tokio::fs::remove_dir_all(directory)
                .await
                .with_context(|| format!("removing {}", directory.display()))?;
        }
        // Absolute, because the run that reclaims it may have another current directory.
        let absolute = std::path::absolute(directory).with_context(creating)?;
        if let Some(parent) = absolute.parent() {
            state.created = CreatedDirectories::create(parent).with_context(creating)?;
        }
        let announced = JournalEntry::open(&ctx.journal, &output_resource(&absolute))?;
        if let Err(error) = std::fs::create_dir(&absolute) {
            announced.done();
            return Err(match error.kind() {
                ErrorKind::AlreadyExists => {
                    Error::new(format!("the directory {} exists already", directory.display()))
                        .hint("remove it, name another one, or replace it with -force")
                }
                _ => Error::from(error).context(creating()),
            });
        }
        take_output(ctx, state, OutputDirectory::take(&absolute)?)?;
        announced.done();
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, outcome: Outcome) {
        let Some(entry) = state.output.take() else { return };
        if outcome == Outcome::Succeeded {
            // It is the user's now.
            entry.done();
            return;
        }
        let Some(directory) = state.directory.take() else { return };
        ctx.ui.say("Deleting output directory...");
        match directory.remove().await {
            Ok(true) => {
                state.created.remove();
                entry.done();
            }
            Ok(false) => {
                let directory = state.settings.output.display();
                ctx.ui.error(format!("Another build has replaced {directory}, which stays."));
                entry.done();
            }
            Err(error) => ctx.ui.error(error.to_string()),
        }
    }
}

/// Copies the UEFI variables, which the machine changes.
pub(super) struct CopyEfiVariables;

#[async_trait]
impl Step<State> for CopyEfiVariables {
    fn name(&self) -> &'static str {
        "copy EFI variables"
    }

    async fn run(&self, _: &RunContext, state: &mut State) -> Result<()> {
        let efi = &state.settings.efi;
        if !efi.code.exists() {
            return Err(Error::new(format!("there is no UEFI firmware at {}", efi.code.display()))
                .hint("install it (apt install ovmf), or set efi_firmware_code"));
        }
        let copy = state.settings.output.join(EFI_VARIABLES);
        tokio::fs::copy(&efi.variables, &copy)
            .await
            .with_context(|| format!("copying the UEFI variables {}", efi.variables.display()))?;
        // What is in /usr/share is often read-only, and so would the copy be.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o660);
        std::fs::set_permissions(&copy, mode)
            .with_context(|| format!("making {} writable", copy.display()))?;
        state.runtime.efi_variables = Some(copy);
        Ok(())
    }
}
