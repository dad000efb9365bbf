//! `provisioner "shell-local"`

use std::sync::Arc;

use ingot_sdk::shell_local::{ShellLocal, ShellLocalOptions};
use ingot_sdk::{
    Communicator, Component, ConfigErrors, Decoded, Effect, Facts, GeneratedData, PrepareContext,
    Prepared, Provision, Result, RunContext, async_trait,
};

/// `provisioner "shell-local"`
pub(crate) struct ShellLocalProvisioner;

/// Runs scripts on this machine.
pub(crate) struct LocalScripts(ShellLocal);

impl Component for ShellLocalProvisioner {
    const NAME: &'static str = "shell-local";
    type Options = ShellLocalOptions;
    type Ready = LocalScripts;

    fn facts(&self) -> Facts {
        Facts::of_effect(Effect::Never(
            "it runs on this machine, and what it does here is not known",
        ))
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, ShellLocalOptions>,
        _: &PrepareContext,
    ) -> Result<Prepared<LocalScripts>, ConfigErrors> {
        Ok(Prepared::new(LocalScripts(options.prepare()?)))
    }
}

#[async_trait]
impl Provision for LocalScripts {
    async fn provision(
        &self,
        ctx: &RunContext,
        _: Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()> {
        self.0.run(ctx, data).await
    }
}
