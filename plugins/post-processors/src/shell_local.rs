//! `post-processor "shell-local"`

use std::sync::Arc;

use ingot_sdk::shell_local::ShellLocal;
use ingot_sdk::{
    Artifact, Config, ConfigErrors, GeneratedData, PostProcessor, PrepareContext, Prepared,
    Processed, Result, RunContext, Schema, async_trait,
};

/// Runs scripts on this machine once there is an artifact; passes the artifact on.
#[derive(Default)]
pub struct ShellLocalPostProcessor {
    options: ShellLocal,
}

#[async_trait]
impl PostProcessor for ShellLocalPostProcessor {
    fn schema(&self) -> Schema {
        Schema::of::<ShellLocal>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.options = ShellLocal::prepare(config)?;
        Ok(Prepared::default())
    }

    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        data: &GeneratedData,
    ) -> Result<Processed> {
        self.options.run(ctx, data).await?;
        // The artifact passes through, so throwing the input away would throw it away.
        Ok(Processed { artifact: Some(artifact), keep_input: true, force_keep_input: true })
    }
}
