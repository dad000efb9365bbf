//! Runs a node's provisioners when its builder says that the machine is up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ingot_sdk::{
    Communicator, Config, ConfigErrors, Error, GeneratedData, GoDuration, Hook, Result, RunContext,
    Schema,
};
use tokio_util::sync::CancellationToken;

use super::prepare::run_names;
use super::project::Project;
use crate::graph::{Node, PROVISIONER_RESERVED};
use crate::syntax::ast::Block;
use crate::syntax::diagnostic::{Diagnostic, Diagnostics};
use crate::template::convert::convert;
use crate::template::eval::eval;
use crate::template::options::{self, from_json};
use crate::template::types::Type;
use crate::template::{Scope, Value};

/// The hook of one node.
pub(super) struct NodeHook {
    pub project: Arc<Project>,
    pub node: Arc<Node>,
}

/// The engine's own options of a provisioner.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    pause_before: Duration,
    timeout: Option<Duration>,
    max_retries: u32,
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
    Reserved {
        pause_before: duration(pause).unwrap_or_default(),
        timeout: duration(timeout).filter(|timeout| !timeout.is_zero()),
        max_retries: retries
            .and_then(|value| value.as_number()?.as_usize())
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(0),
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
    prepare: &mut dyn FnMut(&Config) -> Result<ingot_sdk::Prepared, ConfigErrors>,
) -> Result<()> {
    let mut diagnostics = Diagnostics::default();
    let options =
        options::evaluate(&[&block.body], block.header, schema, names, scope, &mut diagnostics);
    options.secrets.iter().for_each(|secret| ctx.ui.mask(secret));
    if diagnostics.has_errors() {
        return Err(Error::new(diagnostics.render(&project.sources, false).trim_end()));
    }
    prepare(&options.config).map_err(Error::from)?;
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
        let scope = scope.with(run_names(&self.node, build_value(data)));
        let reserved = reserved(block, &scope, &mut Diagnostics::default());
        let schema = plugin.schema();
        late_config(
            &self.project,
            block,
            &schema,
            PROVISIONER_RESERVED,
            &scope,
            ctx,
            &mut |config| plugin.prepare(config, &ctx.prepare),
        )?;
        drop(scope);
        if !reserved.pause_before.is_zero() {
            let pause = GoDuration(reserved.pause_before);
            ctx.ui.say(format!("Pausing {pause} before the next provisioner..."));
            tokio::select! {
                () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
                () = tokio::time::sleep(reserved.pause_before) => {}
            }
        }
        let mut retries = 0;
        loop {
            let work = plugin.provision(ctx, Arc::clone(communicator), data);
            let result = tokio::select! {
                () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
                result = limited(reserved.timeout, work) => result,
            };
            match result {
                Err(error) if retries < reserved.max_retries && !error.is_cancelled() => {
                    retries += 1;
                    ctx.ui.error(format!(
                        "Provisioner failed with {error}, retrying with {} trie(s) left",
                        reserved.max_retries - retries + 1
                    ));
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

/// `build.*` for expressions.
pub(super) fn build_value(data: &GeneratedData) -> Value {
    Value::object(data.iter().map(|(name, value)| (name.clone(), from_json(value))).collect())
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
        let Some(block) = &self.node.error_cleanup else { return Ok(()) };
        // The build may have been cancelled; its cleanup still has to happen.
        let ctx = RunContext { cancel: CancellationToken::new(), ..ctx.clone() };
        ctx.ui.say("Running the error-cleanup-provisioner...");
        self.step(block, &ctx, &communicator, &data).await
    }
}

/// The engine's own options of a post-processor that matter while it runs.
pub(super) fn keep_input(block: &Block, scope: &Scope) -> Option<bool> {
    let attribute = block.body.attribute("keep_input_artifact")?;
    convert(&eval(&attribute.expr, scope).ok()?, &Type::Bool).ok()?.as_bool()
}
