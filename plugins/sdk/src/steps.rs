//! Runs a builder's steps in order and undoes them in reverse.
//!
//! All builders build this way, so cancellation, `-on-error` and `-debug` work the same in all
//! of them.

use async_trait::async_trait;

use crate::{Error, OnError, Result, RunContext};

/// One step of a build, over the state `S` that the builder's steps share.
#[async_trait]
pub trait Step<S: Send>: Send + Sync {
    /// A short name for `-debug` and `-on-error=ask`, such as `create container`.
    fn name(&self) -> &'static str;

    /// Does the step. May be dropped at any await when the build is cancelled: before it creates
    /// a thing it must note in `state` how to find it.
    ///
    /// # Errors
    /// What failed.
    async fn run(&self, ctx: &RunContext, state: &mut S) -> Result<()>;

    /// Undoes the step, as far as it got. Runs for the failed step too, is never cancelled, and
    /// must bound its own time. Problems are reported through `ctx.ui`.
    async fn cleanup(&self, _ctx: &RunContext, _state: &mut S, _outcome: Outcome) {}
}

/// How the steps went, as [`Step::cleanup`] sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps succeeded.
    Succeeded,
    /// A step failed or the build was cancelled.
    Failed,
}

enum Decision {
    CleanUp,
    Leave,
    Retry,
}

/// Runs `steps` in order, racing each against cancellation, then cleans up in reverse.
///
/// # Errors
/// The error of the step that failed, after its cleanup.
pub async fn run_steps<S: Send>(
    ctx: &RunContext,
    steps: &[Box<dyn Step<S>>],
    state: &mut S,
) -> Result<()> {
    let mut started = 0;
    let mut result = Ok(());
    let mut leave = false;
    'steps: for step in steps {
        started += 1;
        loop {
            tracing::debug!(step = step.name(), "running step");
            let ran = ctx.unless_cancelled(step.run(ctx, state)).await;
            let Err(error) = ran else { break };
            match decide(ctx, step.name(), &error).await {
                Decision::Retry => {
                    step.cleanup(ctx, state, Outcome::Failed).await;
                    continue;
                }
                Decision::Leave => leave = true,
                Decision::CleanUp => {}
            }
            result = Err(error);
            break 'steps;
        }
        if ctx.prepare.debug {
            let question =
                format!("Pausing after step {:?}. Press enter to continue.", step.name());
            tokio::select! {
                () = ctx.cancel.cancelled() => { result = Err(Error::Cancelled); break; }
                // Without anybody to ask, -debug does not pause.
                _ = ctx.ui.ask(&question) => {}
            }
        }
    }
    if leave {
        ctx.ui.error("Leaving what was built so far in place, as -on-error asks.");
        ctx.journal.release();
        return result;
    }
    let outcome = if result.is_ok() { Outcome::Succeeded } else { Outcome::Failed };
    for step in steps[..started].iter().rev() {
        step.cleanup(ctx, state, outcome).await;
    }
    result
}

async fn decide(ctx: &RunContext, step: &str, error: &Error) -> Decision {
    if error.is_cancelled() {
        return match ctx.prepare.on_error {
            OnError::Abort | OnError::RunCleanupProvisioner => Decision::Leave,
            OnError::Cleanup | OnError::Ask => Decision::CleanUp,
        };
    }
    match ctx.prepare.on_error {
        OnError::Cleanup => Decision::CleanUp,
        OnError::Abort | OnError::RunCleanupProvisioner => Decision::Leave,
        OnError::Ask => {
            ctx.ui.error(error.to_string());
            let question = format!(
                "Step {step:?} failed.\n[c] Clean up and exit, [a] abort without cleanup, or \
                 [r] retry step (build may fail even if retry succeeds)?"
            );
            loop {
                let answer = tokio::select! {
                    () = ctx.cancel.cancelled() => return Decision::CleanUp,
                    answer = ctx.ui.ask(&question) => answer,
                };
                match answer.as_deref().map(str::trim) {
                    Ok("c" | "C") | Err(_) => return Decision::CleanUp,
                    Ok("a" | "A") => return Decision::Leave,
                    Ok("r" | "R") => return Decision::Retry,
                    Ok(_) => ctx.ui.say("Please answer c, a or r."),
                }
            }
        }
    }
}
