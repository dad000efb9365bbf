//! `shell-local`: runs scripts on this machine once there is an artifact.

use std::sync::Arc;

use ingot_sdk::shell_local::{ShellLocal, ShellLocalOptions};
use ingot_sdk::{
    Artifact, Component, ConfigErrors, Decoded, GeneratedData, PostProcess, PrepareContext,
    Prepared, Processed, Result, RunContext, async_trait,
};

/// `post-processor "shell-local"`
pub struct ShellLocalPostProcessor;

/// Runs scripts on this machine and passes the artifact on.
pub struct LocalScripts(ShellLocal);

impl Component for ShellLocalPostProcessor {
    const NAME: &'static str = "shell-local";
    type Options = ShellLocalOptions;
    type Ready = LocalScripts;

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, ShellLocalOptions>,
        _: &PrepareContext,
    ) -> Result<Prepared<LocalScripts>, ConfigErrors> {
        Ok(Prepared::new(LocalScripts(options.with_shell_line().prepare()?)))
    }
}

#[async_trait]
impl PostProcess for LocalScripts {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        data: &GeneratedData,
    ) -> Result<Processed> {
        self.0.run(ctx, data).await?;
        // The artifact passes through, so throwing the input away would throw it away.
        Ok(Processed { artifact: Some(artifact), keep_input: true, force_keep_input: true })
    }
}
