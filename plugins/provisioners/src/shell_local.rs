//! `provisioner "shell-local"`

use std::sync::Arc;

use ingot_sdk::shell_local::ShellLocal;
use ingot_sdk::{
    Communicator, Config, ConfigErrors, GeneratedData, PrepareContext, Prepared, Provisioner,
    Result, RunContext, Schema, async_trait,
};

/// Runs scripts on this machine.
#[derive(Default)]
pub struct ShellLocalProvisioner {
    options: ShellLocal,
}

#[async_trait]
impl Provisioner for ShellLocalProvisioner {
    fn schema(&self) -> Schema {
        Schema::of::<ShellLocal>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.options = ShellLocal::prepare(config)?;
        Ok(Prepared::default())
    }

    async fn provision(
        &self,
        ctx: &RunContext,
        _: Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()> {
        self.options.run(ctx, data).await
    }
}
