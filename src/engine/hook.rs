//! Runs a node's provisioners when its builder says that the machine is up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ingot_sdk::{
    Communicator, Config, ConfigErrors, Error, GeneratedData, GoDuration, Hook, PrepareContext,
    Prepared, Result, RunContext, Schema,
};
use tokio_util::sync::CancellationToken;

use super::build_values::BuildValues;
use super::prepare::{hand_over, run_names};
use super::project::Project;
use crate::graph::{Node, PROVISIONER_RESERVED};
use crate::syntax::ast::Block;
use crate::syntax::diagnostic::{Diagnostic, Diagnostics};
use crate::template::convert::convert;
use crate::template::eval::eval;
use crate::template::options;
use crate::template::types::Type;
use crate::template::{Scope, Value};

/// The hook of one node.
pub(super) struct NodeHook {
    pub project: Arc<Project>,
    pub node: Arc<Node>,
    pub values: Arc<BuildValues>,
}

/// The engine's own options of a provisioner.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    pause_before: Duration,
    timeout: Option<Duration>,
    max_retries: u32,
    continue_on_error: bool,
}

/// Reads the engine's own options of a provisioner and reports what is wrong with them.
pub(super) fn reserved(block: &Block, scope: &Scope, diagnostics: &mut Diagnostics) -> Reserved {
    let mut value = |name: &str, ty: Type| -> Option<Value> {
        let attribute = block.body.attribute(name)?;
        let value = eval(&attribute.expr, scope).and_then(|value| {
            convert(&value, &ty).map_err(|error| {
                Diagnostic::error(format!("this is no value for `{name}`"))
                    .at(attribute.expr.span)
                    .label(error.to_string())
            })
        });
        let value = diagnostics.keep(value)?;
        if let (Type::String, Some(text)) = (&ty, value.as_str())
            && let Err(error) = GoDuration::parse(text)
        {
            diagnostics.push(Diagnostic::error(error).at(attribute.expr.span));
            return None;
        }
        Some(value)
    };
    let duration = |value: Option<Value>| {
        value.and_then(|value| GoDuration::parse(value.as_str()?).ok()).map(|duration| duration.0)
    };
    let pause = value("pause_before", Type::String);
    let timeout = value("timeout", Type::String);
    let retries = value("max_retries", Type::Number);
    let continue_on_error = value("continue_on_error", Type::Bool);
    Reserved {
        pause_before: duration(pause).unwrap_or_default(),
        timeout: duration(timeout).filter(|timeout| !timeout.is_zero()),
        max_retries: retries
            .and_then(|value| value.as_number()?.as_usize())
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(0),
        continue_on_error: continue_on_error.and_then(|value| value.as_bool()).unwrap_or(false),
    }
}

/// Evaluates a block again with the values that only the run knows, and prepares its plugin.
pub(super) fn late_config(
    project: &Project,
    block: &Block,
    schema: &Schema,
    names: &[&str],
    scope: &Scope,
    ctx: &RunContext,
    prepare: &mut dyn FnMut(&Config, &PrepareContext) -> Result<Prepared, ConfigErrors>,
) -> Result<()> {
    let mut diagnostics = Diagnostics::default();
    let options =
        options::evaluate(&[&block.body], block.header, schema, names, scope, &mut diagnostics);
    options.secrets.iter().for_each(|secret| ctx.ui.mask(secret));
    if diagnostics.has_errors() {
        return Err(Error::new(diagnostics.render(&project.sources, false).trim_end()));
    }
    // What there is to warn of has been said before the run.
    hand_over(&options.config, schema, &ctx.prepare, prepare).map_err(Error::from)?;
    Ok(())
}

impl NodeHook {
    async fn step(
        &self,
        block: &Block,
        ctx: &RunContext,
        communicator: &Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()> {
        let kind = block.label(0);
        let new = self.project.plugins.provisioners.get(kind);
        let new = new.ok_or_else(|| Error::new(format!("no provisioner is called `{kind}`")))?;
        let mut plugin = new();
        let scope = self.project.scope();
        let scope = scope.with(run_names(&self.node, self.values.during(data)));
        let reserved = reserved(block, &scope, &mut Diagnostics::default());
        let schema = plugin.schema();
        late_config(
            &self.project,
            block,
            &schema,
            PROVISIONER_RESERVED,
            &scope,
            ctx,
            &mut |config, context| plugin.prepare(config, context),
        )?;
        drop(scope);
        if let Some(complaint) = self.values.complaint(block, data) {
            ctx.ui.error(complaint);
        }
        let result = reserved.run(ctx, || plugin.provision(ctx, Arc::clone(communicator), data));
        match result.await {
            Err(error) if reserved.continue_on_error && !error.is_cancelled() => {
                ctx.ui.say(format!(
                    "Warning: Provisioner failed with {:?}, but continue_on_error is set; \
                     continuing the build.",
                    error.to_string()
                ));
                Ok(())
            }
            result => result,
        }
    }
}

impl Reserved {
    /// Runs a provisioner the way these options ask for. What is said is Packer's.
    async fn run<F: Future<Output = Result<()>>>(
        &self,
        ctx: &RunContext,
        mut provision: impl FnMut() -> F,
    ) -> Result<()> {
        if ctx.prepare.debug {
            tokio::select! {
                () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
                // Without anybody to ask, -debug does not pause.
                _ = ctx.ui.ask("Pausing before the next provisioner. Press enter to continue.") => {}
            }
        }
        let mut left = self.max_retries;
        loop {
            match ctx.unless_cancelled(self.attempt(ctx, &mut provision)).await {
                Err(error) if left > 0 && !error.is_cancelled() => {
                    ctx.ui.say(format!(
                        "Provisioner failed with {:?}, retrying with {left} trie(s) left",
                        error.to_string()
                    ));
                    left -= 1;
                }
                result => {
                    if result.is_err() && self.max_retries > 0 {
                        ctx.ui.say("retry limit reached.");
                    }
                    return result;
                }
            }
        }
    }

    async fn attempt<F: Future<Output = Result<()>>>(
        &self,
        ctx: &RunContext,
        provision: &mut impl FnMut() -> F,
    ) -> Result<()> {
        if !self.pause_before.is_zero() {
            let pause = GoDuration(self.pause_before);
            ctx.ui.say(format!("Pausing {pause} before the next provisioner..."));
            tokio::time::sleep(self.pause_before).await;
        }
        let Some(limit) = self.timeout else { return provision().await };
        let shown = GoDuration(limit);
        ctx.ui.say(format!("Setting a {shown} timeout for the next provisioner..."));
        match tokio::time::timeout(limit, provision()).await {
            Ok(result) => result,
            Err(_) => {
                ctx.ui.error("Cancelling provisioner after a timeout...");
                Err(Error::new(format!(
                    "the provisioner did not finish within its timeout of {shown}"
                )))
            }
        }
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
        for block in &self.node.provisioners {
            self.step(block, ctx, &communicator, &data).await?;
        }
        Ok(())
    }

    async fn cleanup_provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: GeneratedData,
    ) -> Result<()> {
        ctx.ui.say("Provisioning step had errors: Running the cleanup provisioner, if present...");
        let Some(block) = &self.node.error_cleanup else { return Ok(()) };
        // The build may have been cancelled; its cleanup still has to happen.
        let ctx = RunContext { cancel: CancellationToken::new(), ..ctx.clone() };
        self.step(block, &ctx, &communicator, &data).await
    }
}

/// The engine's own options of a post-processor that matter while it runs.
pub(super) fn keep_input(block: &Block, scope: &Scope) -> Option<bool> {
    let attribute = block.body.attribute("keep_input_artifact")?;
    convert(&eval(&attribute.expr, scope).ok()?, &Type::Bool).ok()?.as_bool()
}
