//! Runs a node's post-processor pipelines over what its builder made.

use std::sync::Arc;

use ingot_sdk::{Artifact, Error, GeneratedData, Result, RunContext};

use super::hook::{NodeHook, late_config};
use crate::template::steps::{POST_PROCESSOR_OPTIONS, Step};

type Shared = Arc<dyn Artifact>;

/// The artifacts that are left in the end, the builder's own first if it is kept.
///
/// # Errors
/// The first pipeline that failed; the others have run all the same.
pub(super) async fn pipelines(
    hook: &NodeHook,
    ctx: &RunContext,
    built: Shared,
    data: &GeneratedData,
) -> Result<Vec<Shared>> {
    let mut keep_built = hook.node.pipelines.is_empty();
    let mut artifacts = Vec::new();
    let mut failure = None;
    for pipeline in &hook.node.pipelines {
        match run_pipeline(hook, ctx, pipeline, &built, data).await {
            Ok((keep, mut made)) => {
                keep_built |= keep;
                artifacts.append(&mut made);
            }
            Err(error) => {
                // What failed to be processed is all there is: it stays.
                keep_built = true;
                let cancelled = error.is_cancelled();
                failure.get_or_insert(error);
                if cancelled {
                    break;
                }
            }
        }
    }
    if keep_built {
        artifacts.insert(0, built);
    } else {
        ctx.ui.machine("artifact-deleted", &[&built.id()]);
        built.destroy().await?;
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(artifacts),
    }
}

/// Whether the builder's artifact is kept, and what the pipeline leaves.
async fn run_pipeline(
    hook: &NodeHook,
    ctx: &RunContext,
    pipeline: &[Step],
    built: &Shared,
    data: &GeneratedData,
) -> Result<(bool, Vec<Shared>)> {
    let mut current = Arc::clone(built);
    let mut left: Vec<Shared> = Vec::new();
    let mut keep_built = false;
    for (position, step) in pipeline.iter().enumerate() {
        let kind = step.block.label(0);
        let new = hook.project.plugins.post_processors.get(kind);
        let new = new.ok_or_else(|| Error::new(format!("no post-processor is called `{kind}`")))?;
        let mut plugin = new();
        let schema = plugin.schema();
        late_config(hook, step, &schema, POST_PROCESSOR_OPTIONS, data, ctx, &mut |config| {
            plugin.prepare(config, &ctx.prepare)
        })?;
        ctx.ui.say(format!("Running post-processor: {kind}"));
        let processed = tokio::select! {
            () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
            processed = plugin.process(ctx, Arc::clone(&current), data) => {
                processed.map_err(|error| error.context("Post-processor failed"))?
            }
        };
        let keep = match step.keep_input_artifact {
            Some(false) if processed.force_keep_input => {
                ctx.ui.error(format!(
                    "Warning: {kind} needs its input artifact, so keep_input_artifact=false has \
                     no effect."
                ));
                true
            }
            Some(keep) => keep,
            None => processed.keep_input || processed.force_keep_input,
        };
        let made = processed.artifact.unwrap_or_else(|| Arc::clone(&current));
        let same = Arc::ptr_eq(&made, &current);
        match (position, keep || same) {
            (0, true) => keep_built = true,
            (0, false) => {}
            (_, true) if !same => left.push(Arc::clone(&current)),
            (_, true) => {}
            (_, false) => current.destroy().await?,
        }
        current = made;
    }
    if !Arc::ptr_eq(&current, built) {
        left.push(current);
    }
    Ok((keep_built, left))
}
