//! `shell-local`: runs scripts on this machine once there is an artifact.

use std::sync::Arc;

use ingot_sdk::shell_local::ShellLocal;
use ingot_sdk::{
    Artifact, Config, ConfigErrors, GeneratedData, OptionValue, PostProcessor, PrepareContext,
    Prepared, Processed, Result, RunContext, Schema, async_trait,
};

/// Runs scripts on this machine and passes the artifact on.
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
        self.options = ShellLocal::prepare(&with_shell(config.clone()))?;
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

/// An `execute_command` of one part is a line for the shell: the post-processor, unlike the
/// provisioner, once took only that, and templates still rely on it.
fn with_shell(config: Config) -> Config {
    let Some(OptionValue::List(parts)) = config.get("execute_command") else { return config };
    let [line] = parts.as_slice() else { return config };
    let mut values = config.values().clone();
    let shell = ["sh", "-c"].map(|part| OptionValue::String(part.to_owned()));
    let line = shell.into_iter().chain([line.clone()]).collect();
    values.insert("execute_command".to_owned(), OptionValue::List(line));
    Config::new(values)
}
