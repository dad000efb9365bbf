//! The builder `qemu`.

use std::sync::Arc;

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::process::LocalCommand;
use ingot_sdk::{
    Artifact, Builder, Config, ConfigErrors, Error, OnError, PrepareContext, Prepared, Result,
    RunContext, Schema, async_trait, run_steps,
};

use crate::artifact::QemuArtifact;
use crate::options::schema;
use crate::settings::Settings;
use crate::steps::{State, steps};

/// Builds disk images with QEMU: starts a machine from an installation disc or a disk image,
/// provisions it, turns it off and keeps its disk.
#[derive(Default)]
pub struct QemuBuilder {
    settings: Option<Settings>,
}

#[async_trait]
impl Builder for QemuBuilder {
    fn schema(&self) -> Schema {
        schema()
    }

    fn prepare(&mut self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        let (settings, prepared) = Settings::prepare(config, ctx)?;
        self.settings = Some(settings);
        Ok(prepared)
    }

    async fn run(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let Some(settings) = self.settings.clone() else {
            return Err(Error::new("the builder was not prepared"));
        };
        find_programs(ctx, settings.raw.qemu_binary()).await?;
        let steps = steps(&settings);
        let mut state = State::new(settings);
        if let Err(error) = run_steps(ctx, &steps, &mut state).await {
            // With this setting the steps are left as they are, uncleaned, but for this.
            if ctx.prepare.on_error == OnError::RunCleanupProvisioner && state.provisioning {
                ctx.clean_up_provision(state.communicator_or_none(), state.data.clone()).await;
            }
            if state.is_left() {
                // The machine goes on, with all that it uses.
                std::mem::forget(state);
            }
            return Err(error);
        }
        Ok(Some(Arc::new(QemuArtifact::collect(&state)?)))
    }
}

/// Looks whether the programs are there before anything is downloaded.
async fn find_programs(ctx: &RunContext, qemu: &str) -> Result<()> {
    let hints = [
        (qemu, "install QEMU (apt install qemu-system-x86), or set qemu_binary"),
        ("qemu-img", "install it (apt install qemu-utils)"),
    ];
    for (program, hint) in hints {
        let argv = vec![program.to_owned(), "--version".to_owned()];
        let output = CapturedOutput::default();
        let command = LocalCommand { argv, ..LocalCommand::default() };
        let status = match command.run(ctx, &output).await {
            Err(error) if !error.is_cancelled() => return Err(error.hint(hint)),
            status => status?,
        };
        if !status.success() {
            let said = output.stderr_text();
            return Err(Error::new(format!("{program} --version failed: {}", said.trim())));
        }
        tracing::debug!(version = output.stdout_text().lines().next(), "found {program}");
    }
    Ok(())
}
