//! The directory for what is built, and the UEFI variables in it.

use std::io::ErrorKind;
use std::path::Path;

use ingot_sdk::output_file::CreatedDirectories;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, Error, JournalEntry, Result, RunContext, Step, async_trait};

use super::State;
use crate::reclaim::{created_output_resource, output_resource};

/// The name Packer gives the machine's copy of the UEFI variables.
pub(crate) const EFI_VARIABLES: &str = "efivars.fd";

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
        let created = created_output_resource(&absolute)?;
        state.output = Some(JournalEntry::open(&ctx.journal, &created)?);
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
        ctx.ui.say("Deleting output directory...");
        let directory = &state.settings.output;
        match remove(directory).await {
            Ok(()) => {
                state.created.remove();
                entry.done();
            }
            Err(error) => ctx.ui.error(error.to_string()),
        }
    }
}

/// Removes a directory with all that is in it. Not finding it is success.
pub(crate) async fn remove(directory: &Path) -> Result<()> {
    match tokio::fs::remove_dir_all(directory).await {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", directory.display()))
        }
        _ => Ok(()),
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
        state.situation.efi_variables = Some(copy);
        Ok(())
    }
}
