//! The builder `qemu`.

use std::sync::Arc;

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::process::LocalCommand;
use ingot_sdk::{
    Artifact, Build, CachedStates, Component, ConfigErrors, Decoded, Error, Facts, PrepareContext,
    Prepared, Result, RunContext, Schema, async_trait, run_steps,
};

use crate::artifact::QemuArtifact;
use crate::options::{Options, schema};
use crate::settings::Settings;
use crate::steps::{State, steps};

/// `source "qemu"`
pub struct QemuBuilder;

/// Builds disk images with QEMU: starts a machine from an installation disc or a disk image,
/// provisions it, turns it off and keeps its disk.
pub struct QemuBuild {
    settings: Settings,
}

impl Component for QemuBuilder {
    const NAME: &'static str = "qemu";
    type Options = Options;
    type Ready = QemuBuild;

    fn facts(&self) -> Facts {
        Facts { states: Some(CachedStates::default()), ..Facts::default() }
    }

    fn schema(&self) -> Schema {
        schema()
    }

    fn prepare(
        &self,
        given: Decoded<'_, Options>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<QemuBuild>, ConfigErrors> {
        Ok(Settings::prepare(given, ctx)?.map(|settings| QemuBuild { settings }))
    }
}

#[async_trait]
impl Build for QemuBuild {
    async fn build(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let settings = self.settings.clone();
        find_programs(ctx, settings.raw.qemu_binary()).await?;
        let steps = steps(&settings, ctx.kept_machine("the machine")?);
        let mut state = State::new(settings);
        if let Err(error) = run_steps(ctx, &steps, &mut state).await {
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
