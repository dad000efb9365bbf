//! Runs a node's provisioners when its builder says that the machine is up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ingot_sdk::{
    Communicator, Config, ConfigErrors, Error, GeneratedData, GoDuration, Hook, Result, RunContext,
    Schema,
};
use tokio_util::sync::CancellationToken;

use super::prepare::{given, run_names};
use super::project::Project;
use crate::graph::Node;
use crate::syntax::diagnostic::Diagnostics;
use crate::template::options;
use crate::template::steps::{PROVISIONER_OPTIONS, Step};

/// The hook of one node.
pub(super) struct NodeHook {
    pub project: Arc<Project>,
    pub node: Arc<Node>,
}

/// Evaluates a block again with the values that only the run knows, and prepares its plugin.
pub(super) fn late_config(
    hook: &NodeHook,
    step: &Step,
    schema: &Schema,
    reserved: &[&str],
    data: &GeneratedData,
    ctx: &RunContext,
    prepare: &mut dyn FnMut(&Config) -> Result<ingot_sdk::Prepared, ConfigErrors>,
) -> Result<()> {
    let mut diagnostics = Diagnostics::default();
    let scope = hook.project.scope();
    let scope = scope.with(run_names(&hook.node, data));
    let part = step.part();
    let parts = [&part];
    let given = given(step, &hook.node, &parts);
    let options = options::evaluate(given, schema, reserved, &scope, &mut diagnostics);
    options.secrets.iter().for_each(|secret| ctx.ui.mask(secret));
    if diagnostics.has_errors() {
        return Err(Error::new(diagnostics.render(&hook.project.sources, false).trim_end()));
    }
    prepare(&options.config).map_err(Error::from)?;
    Ok(())
}

impl NodeHook {
    async fn step(
        &self,
        step: &Step,
        ctx: &RunContext,
        communicator: &Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()> {
        let kind = step.block.label(0);
        let new = self.project.plugins.provisioners.get(kind);
        let new = new.ok_or_else(|| Error::new(format!("no provisioner is called `{kind}`")))?;
        let mut plugin = new();
        let schema = plugin.schema();
        late_config(self, step, &schema, PROVISIONER_OPTIONS, data, ctx, &mut |config| {
            plugin.prepare(config, &ctx.prepare)
        })?;
        if !step.pause_before.is_zero() {
            let pause = GoDuration(step.pause_before);
            ctx.ui.say(format!("Pausing {pause} before the next provisioner..."));
            tokio::select! {
                () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
                () = tokio::time::sleep(step.pause_before) => {}
            }
        }
        let mut retries = 0;
        loop {
            let work = plugin.provision(ctx, Arc::clone(communicator), data);
            let result = tokio::select! {
                () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
                result = limited(step.timeout, work) => result,
            };
            match result {
                Err(error) if retries < step.max_retries && !error.is_cancelled() => {
                    retries += 1;
                    ctx.ui.error(format!(
                        "Provisioner failed with {error}, retrying with {} trie(s) left",
                        step.max_retries - retries + 1
                    ));
                }
                Err(error) if step.continue_on_error && !error.is_cancelled() => {
                    ctx.ui.error(format!(
                        "Provisioner failed with {error}; the build goes on, as \
                         continue_on_error says"
                    ));
                    return Ok(());
                }
                result => return result,
            }
        }
    }
}

async fn limited(timeout: Option<Duration>, work: impl Future<Output = Result<()>>) -> Result<()> {
    match timeout {
        None => work.await,
        Some(limit) => match tokio::time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(format!(
                "the provisioner did not finish within its timeout of {}",
                GoDuration(limit)
            ))),
        },
    }
}

#[async_trait]
impl Hook for NodeHook {
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: GeneratedData,
    ) -> Result<()> {
        for step in &self.node.provisioners {
            self.step(step, ctx, &communicator, &data).await?;
        }
        Ok(())
    }

    async fn cleanup_provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: GeneratedData,
    ) -> Result<()> {
        let Some(step) = &self.node.error_cleanup else { return Ok(()) };
        // The build may have been cancelled; its cleanup still has to happen.
        let ctx = RunContext { cancel: CancellationToken::new(), ..ctx.clone() };
        ctx.ui.say("Running the error-cleanup-provisioner...");
        self.step(step, &ctx, &communicator, &data).await
    }
}
