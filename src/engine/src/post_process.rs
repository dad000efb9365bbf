//! Runs a node's post-processor pipelines over what its builder made.

use std::sync::Arc;

use ingot_sdk::{Artifact, Error, ErrorKind, GeneratedData, Result, RunContext, StepKind};
use ingot_template::steps::Step;

use super::build_values::with_no_server;
use super::deletion::also_deleted;
use super::hook::{NodeHook, prepare_step};

type Shared = Arc<dyn Artifact>;

/// What all pipelines of a node share.
pub(super) struct Pipelines<'a> {
    pub hook: &'a NodeHook,
    pub ctx: &'a RunContext,
}

/// What one step of a pipeline made.
struct Done {
    /// What the pipeline goes on with.
    created: Shared,
    /// Whether what the step was given stays.
    keep_input: bool,
}

/// What the builder or a post-processor learnt, for `build.*`.
fn data_of(artifact: &Shared) -> Option<GeneratedData> {
    serde_json::from_value(artifact.state("generated_data")?).ok()
}

/// What failed of the pipelines in one error, which has Packer's words: tools look for them, and several
/// messages can be told apart. Kind, hints and cause are those of [`Error::all`].
fn all_failures(errors: Vec<Error>) -> Result<()> {
    let failed = errors.iter().filter(|error| !error.is_cancelled());
    let points: Vec<String> = failed.map(|error| format!("* {error}")).collect();
    let message = format!("{} error(s) occurred:\n\n{}", points.len(), points.join("\n"));
    Error::all(errors).map_err(|error| error.reworded(message))
}

impl Pipelines<'_> {
    /// Runs the pipelines over `built`. Returns the artifacts that are left in the end, the
    /// builder's own first if it is kept. As in Packer, a step that hands on what it was given
    /// counts it once more, one that hands on nothing ends its pipeline, and the builder's artifact
    /// goes when no first step got so far as to keep it.
    ///
    /// # Errors
    /// What failed of the pipelines; the others have run all the same.
    pub(super) async fn run(&self, built: Shared) -> Result<Vec<Shared>> {
        let mut keep_built = self.hook.node.pipelines.is_empty();
        let mut artifacts = Vec::new();
        let mut unlisted = Vec::new();
        let mut errors = Vec::new();
        let all = self.hook.node.pipelines.iter().map(Vec::len).sum();
        let mut before = 0;
        for pipeline in &self.hook.node.pipelines {
            let numbers = (before, all);
            before += pipeline.len();
            let ran = self.pipeline(pipeline, numbers, &built, &mut keep_built, &mut unlisted);
            match ran.await {
                Ok(mut created) => artifacts.append(&mut created),
                Err(error) => {
                    let cancelled = error.is_cancelled() || self.ctx.cancel.is_cancelled();
                    // The first one's kind is that of all, and this has to be known.
                    match error.kind() {
                        Some(ErrorKind::Abandoned) => errors.insert(0, error),
                        _ => errors.push(error),
                    }
                    if cancelled {
                        break;
                    }
                }
            }
        }
        built.processed();
        let keeper = &self.hook.keeper;
        let made: Vec<Shared> = artifacts.iter().cloned().chain(unlisted).collect();
        if let Err(error) = all_failures(errors) {
            let keep_built =
                keep_built || keeper.artifact_is_users() || self.holds_result(&built, &made);
            if !keeper.leaves(&*built, keep_built, &error) {
                self.ctx.ui.say(
                    "Removing what the builder created: post-processing failed. -on-error=keep \
                     leaves it for -resume.",
                );
                // The build failed for what was wrong first.
                if let Err(left) = built.destroy().await {
                    self.ctx.ui.error(format!("It may be left over: {left}"));
                }
            }
            return Err(error);
        }
        if !keep_built && keeper.artifact_is_users() {
            self.ctx.ui.say(format!(
                "Leaving what an earlier build made, although keep_input_artifact is false: {}",
                built.description()
            ));
            keep_built = true;
        }
        if keep_built || self.holds_result(&built, &made) {
            keeper.succeeded(Some(&*built));
            artifacts.insert(0, built);
        } else {
            built.destroy().await?;
            keeper.succeeded(None);
        }
        Ok(artifacts)
    }

    /// Whether something of `results` is in a directory that goes when `input` is deleted, as where
    /// `compress` writes to the output directory of the machine that it packs. Then `input` has to
    /// stay, and that is reported.
    fn holds_result(&self, input: &Shared, results: &[Shared]) -> bool {
        let Some(file) = also_deleted(input, results) else { return false };
        let ui = &self.ctx.ui;
        ui.error(format!(
            "Leaving this, because {} is in it and would be deleted, too: {}",
            file.display(),
            input.description()
        ));
        ui.error("help: write the file elsewhere, or set keep_input_artifact = true");
        true
    }

    /// What a pipeline leaves. Sets `keep_built` if the builder's artifact is to be kept, and adds to
    /// `unlisted` what is left, too, but does not count, as the pipeline failed or ended early. There are
    /// `before` steps in the pipelines before, and `all` in all of them.
    async fn pipeline(
        &self,
        pipeline: &[Step],
        (before, all): (usize, usize),
        built: &Shared,
        keep_built: &mut bool,
        unlisted: &mut Vec<Shared>,
    ) -> Result<Vec<Shared>> {
        let mut current = Arc::clone(built);
        let mut left: Vec<Shared> = Vec::new();
        for (position, step) in pipeline.iter().enumerate() {
            let info = self.hook.info(StepKind::PostProcessor, step);
            let running = self.ctx.ui.step(info.numbered(before + position + 1, all));
            let done = self.step(step, &current, built).await;
            running.end(&done);
            if done.is_err() {
                unlisted.append(&mut left);
                unlisted.push(Arc::clone(&current));
            }
            // What the last step was given is not counted then, nor removed: nothing says what the
            // step did with it.
            let Some(Done { created, keep_input }) = done? else {
                if position > 0 {
                    unlisted.push(current);
                }
                return Ok(left);
            };
            // What is handed on is not to be deleted, whatever the template asks for.
            let same = Arc::ptr_eq(&created, &current);
            let input = std::mem::replace(&mut current, created);
            match (position, keep_input || same) {
                (0, keep) => *keep_built |= keep,
                (_, true) => left.push(input),
                (_, false) if self.holds_result(&input, std::slice::from_ref(&current)) => {
                    left.push(input);
                }
                (_, false) => {
                    if let Err(error) = input.destroy().await {
                        unlisted.append(&mut left);
                        unlisted.push(current);
                        return Err(error);
                    }
                }
            }
        }
        left.push(current);
        Ok(left)
    }

    /// Runs a step. None if it made no artifact that the pipeline could go on with.
    async fn step(&self, step: &Step, current: &Shared, built: &Shared) -> Result<Option<Done>> {
        let Pipelines { hook, ctx } = self;
        let kind = step.block.label(0);
        let plugin = hook.project.plugins.post_processors.get(kind);
        let plugin =
            plugin.ok_or_else(|| Error::new(format!("no post-processor is called `{kind}`")))?;
        let data = data_of(current).or_else(|| data_of(built)).unwrap_or_default();
        let data = with_no_server(data);
        let ready = prepare_step(hook, step, &**plugin, &data, ctx)?;
        // Packer's line. Only in a legacy template is the type the name of a step that has none.
        let name = match ctx.prepare.json_template {
            true => step.shown_name(),
            false => step.name.as_deref().unwrap_or_default(),
        };
        match name == kind {
            true => ctx.ui.say(format!("Running post-processor: {kind}")),
            false => ctx.ui.say(format!("Running post-processor: {name} (type {kind})")),
        }
        let step_ctx = RunContext { ui: ctx.ui.for_step(kind), ..(*ctx).clone() };
        if let Some(complaint) = hook.values.complaint(&step.block, &data) {
            step_ctx.ui.error(complaint);
        }
        let process = ready.process(&step_ctx, Arc::clone(current), &data);
        let processed = ctx.unless_cancelled(process).await;
        let processed = processed.map_err(|error| error.context("Post-processor failed"))?;
        let Some(created) = processed.artifact else {
            tracing::info!(post_processor = kind, "no artifact: the pipeline ends");
            return Ok(None);
        };
        let keep_input = match step.keep_input_artifact {
            Some(false) if processed.force_keep_input => {
                step_ctx.ui.error(format!(
                    "Warning: {kind} needs its input artifact, so keep_input_artifact=false has \
                     no effect."
                ));
                true
            }
            Some(keep) => keep,
            None => processed.keep_input || processed.force_keep_input,
        };
        Ok(Some(Done { created, keep_input }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_in_packers_words() {
        assert!(all_failures(Vec::new()).is_ok());
        let busy = || Error::new("one").of_kind(ErrorKind::Busy).hint("wait");
        let error = all_failures(vec![busy()]).unwrap_err();
        assert_eq!(error.to_string(), "1 error(s) occurred:\n\n* one");
        let all = vec![busy(), Error::Cancelled, Error::new("two").hint("pay")];
        let error = all_failures(all).unwrap_err();
        assert_eq!(error.to_string(), "2 error(s) occurred:\n\n* one\n* two");
        assert_eq!((error.kind(), error.advice()), (Some(ErrorKind::Busy), Some("wait; pay")));
        assert!(all_failures(vec![Error::Cancelled]).unwrap_err().is_cancelled());
    }
}
