//! Runs a builder's steps in order and undoes them in reverse.
//!
//! All builders build this way (but `file`, which has no machine), so cancellation, `-on-error` and
//! `-debug` work the same in all of them.

use std::sync::Arc;

use async_trait::async_trait;

use crate::communicator::NoCommunicator;
use crate::{
    Communicator, Error, GeneratedData, OnError, Provisioning, Result, RunContext, StepInfo,
    StepKind, StepOutcome,
};

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

    /// Takes the place of [`Step::cleanup`] where the step failed and is run again, as the user asked.
    /// What it created must be gone, or its next run would be in its own way.
    async fn undo_for_retry(&self, ctx: &RunContext, state: &mut S) {
        self.cleanup(ctx, state, Outcome::Failed).await;
    }

    /// Takes the place of [`Step::cleanup`] where `-on-error` leaves everything as it is.
    async fn leave(&self, _ctx: &RunContext, _state: &mut S) {}
}

/// The state of a builder whose machine is provisioned.
#[async_trait]
pub trait Provisioned: Send {
    /// The way to the machine, if there is one.
    fn communicator(&self) -> Option<Arc<dyn Communicator>>;

    /// Values for `build.*`.
    fn data(&self) -> GeneratedData;

    /// How far the machine's provisioners are, and what is kept of it between them. By default it
    /// is new, and nothing is.
    fn provisioning(&self) -> Provisioning {
        Provisioning::default()
    }

    /// Ends, with the reason, when the machine fails: its connection would only hang. By default
    /// it never does.
    async fn fault(&mut self) -> Error {
        std::future::pending().await
    }

    /// What is to be done once all provisioners have succeeded, such as removing a key.
    ///
    /// # Errors
    /// What failed.
    async fn provisioned(&mut self, _ctx: &RunContext) -> Result<()> {
        Ok(())
    }
}

/// The step that runs the provisioners, and the error-cleanup-provisioner when the build fails
/// then or later. Builders that bring up a machine share it.
pub struct ProvisionStep;

impl ProvisionStep {
    /// The way to the machine, or one that refuses everything.
    fn communicator(state: &impl Provisioned) -> Arc<dyn Communicator> {
        state.communicator().unwrap_or_else(|| Arc::new(NoCommunicator))
    }
}

#[async_trait]
impl<S: Provisioned> Step<S> for ProvisionStep {
    fn name(&self) -> &'static str {
        "provision"
    }

    async fn run(&self, ctx: &RunContext, state: &mut S) -> Result<()> {
        let (communicator, data) = (Self::communicator(state), state.data());
        let provisioning = ctx.hook.provision(ctx, communicator, data, state.provisioning());
        tokio::select! {
            biased;
            provisioned = provisioning => provisioned?,
            error = state.fault() => return Err(error.context("provisioning")),
        }
        state.provisioned(ctx).await
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut S, outcome: Outcome) {
        if outcome == Outcome::Failed {
            ctx.clean_up_provision(Self::communicator(state), state.data()).await;
        }
    }

    /// The error-cleanup-provisioner is for builds that are given up. As in Packer, it does not run
    /// here: it may undo on the machine what the provisioners need.
    async fn undo_for_retry(&self, _: &RunContext, _: &mut S) {}

    async fn leave(&self, ctx: &RunContext, state: &mut S) {
        // With this setting nothing is cleaned up but for this.
        if ctx.prepare.on_error == OnError::RunCleanupProvisioner {
            ctx.clean_up_provision(Self::communicator(state), state.data()).await;
        }
    }
}

/// A step whose work an earlier run has done on the machine that it kept. It is undone and left as
/// ever.
pub struct DoneBefore<S>(pub Box<dyn Step<S>>);

#[async_trait]
impl<S: Send> Step<S> for DoneBefore<S> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn run(&self, _: &RunContext, _: &mut S) -> Result<()> {
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut S, outcome: Outcome) {
        self.0.cleanup(ctx, state, outcome).await;
    }

    async fn undo_for_retry(&self, ctx: &RunContext, state: &mut S) {
        self.0.undo_for_retry(ctx, state).await;
    }

    async fn leave(&self, ctx: &RunContext, state: &mut S) {
        self.0.leave(ctx, state).await;
    }
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
        if ctx.cancel.is_cancelled() {
            // Nothing of this step is there to be undone.
            leave = matches!(decide(ctx, step.name(), &Error::Cancelled).await, Decision::Leave);
            result = Err(Error::Cancelled);
            break;
        }
        started += 1;
        loop {
            tracing::debug!(step = step.name(), "running step");
            let info = StepInfo::new(StepKind::BuilderStep, step.name());
            let running = ctx.ui.step(info.numbered(started, steps.len()));
            let ran = ctx.unless_cancelled(step.run(ctx, state)).await;
            let Err(error) = ran else {
                running.end_as(StepOutcome::Succeeded);
                break;
            };
            let decision = decide(ctx, step.name(), &error).await;
            match decision {
                Decision::Retry => running.tolerate(&error),
                Decision::CleanUp | Decision::Leave => running.fail(&error),
            }
            match decision {
                Decision::Retry => {
                    step.undo_for_retry(ctx, state).await;
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
        for step in steps[..started].iter().rev() {
            step.leave(ctx, state).await;
        }
        // Only now: what is left in the middle of it is still known.
        ctx.journal.release();
        return result;
    }
    let outcome = if result.is_ok() { Outcome::Succeeded } else { Outcome::Failed };
    let cleanup = ctx.ui.step(StepInfo::new(StepKind::Cleanup, "clean up"));
    for step in steps[..started].iter().rev() {
        step.cleanup(ctx, state, outcome).await;
    }
    cleanup.end_as(StepOutcome::Succeeded);
    result
}

async fn decide(ctx: &RunContext, step: &str, error: &Error) -> Decision {
    if error.is_cancelled() {
        return match ctx.prepare.on_error {
            OnError::Abort | OnError::Keep | OnError::RunCleanupProvisioner => Decision::Leave,
            OnError::Cleanup | OnError::Ask => Decision::CleanUp,
        };
    }
    match ctx.prepare.on_error {
        OnError::Cleanup => Decision::CleanUp,
        OnError::Abort | OnError::Keep | OnError::RunCleanupProvisioner => Decision::Leave,
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
                let Ok(answer) = answer else { return Decision::CleanUp };
                // As in Packer: Enter alone cleans up, and "retry" is as good as "r".
                match answer.trim().chars().next() {
                    None | Some('c' | 'C') => return Decision::CleanUp,
                    Some('a' | 'A') => return Decision::Leave,
                    Some('r' | 'R') => return Decision::Retry,
                    Some(_) => ctx.ui.say("Please answer c, a or r."),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::PrepareContext;
    use crate::testing::{RecordedOutput, context};

    /// Writes down what becomes of it.
    struct Noted {
        name: &'static str,
        /// Whether the build is cancelled when it has run.
        cancels: bool,
        fails: bool,
    }

    #[async_trait]
    impl Step<Vec<String>> for Noted {
        fn name(&self) -> &'static str {
            self.name
        }

        async fn run(&self, ctx: &RunContext, state: &mut Vec<String>) -> Result<()> {
            state.push(format!("{} runs", self.name));
            if self.cancels {
                ctx.cancel.cancel();
            }
            if self.fails { Err(Error::new("no luck")) } else { Ok(()) }
        }

        async fn cleanup(&self, _: &RunContext, state: &mut Vec<String>, _: Outcome) {
            state.push(format!("{} is cleaned up", self.name));
        }

        async fn leave(&self, _: &RunContext, state: &mut Vec<String>) {
            state.push(format!("{} is left", self.name));
        }
    }

    /// What becomes of two steps.
    async fn steps(on_error: OnError, cancels: bool, fails: bool) -> (Result<()>, Vec<String>) {
        let said = Arc::new(RecordedOutput::default());
        let ctx = context(PrepareContext { on_error, ..PrepareContext::default() }, &said);
        let (mut state, second) = (Vec::new(), Noted { name: "two", cancels: false, fails });
        let first = Noted { name: "one", cancels, fails: false };
        let result = run_steps(&ctx, &[Box::new(first), Box::new(second)], &mut state).await;
        (result, state)
    }

    #[tokio::test]
    async fn steps_that_did_not_begin_are_not_cleaned_up() {
        let (result, done) = steps(OnError::Cleanup, true, false).await;
        assert!(result.unwrap_err().is_cancelled());
        assert_eq!(done, ["one runs", "one is cleaned up"]);
        let (result, done) = steps(OnError::Abort, true, false).await;
        assert!(result.unwrap_err().is_cancelled());
        assert_eq!(done, ["one runs", "one is left"]);
    }

    #[tokio::test]
    async fn steps_are_undone_or_left_in_reverse() {
        let (_, done) = steps(OnError::Cleanup, false, true).await;
        assert_eq!(done, ["one runs", "two runs", "two is cleaned up", "one is cleaned up"]);
        let (_, done) = steps(OnError::RunCleanupProvisioner, false, true).await;
        assert_eq!(done, ["one runs", "two runs", "two is left", "one is left"]);
        let (result, done) = steps(OnError::Cleanup, false, false).await;
        result.unwrap();
        assert_eq!(done, ["one runs", "two runs", "two is cleaned up", "one is cleaned up"]);
    }

    /// Answers questions one after the other, from the end of the list.
    struct Answers(parking_lot::Mutex<Vec<&'static str>>);

    impl Answers {
        fn ui(answers: &[&'static str]) -> crate::Ui {
            let answers = answers.iter().rev().copied().collect();
            crate::Ui::new(Arc::new(Answers(parking_lot::Mutex::new(answers))))
        }
    }

    #[async_trait]
    impl crate::EventSink for Answers {
        fn emit(&self, _: crate::Event) {}

        async fn ask(&self, _: Option<Arc<str>>, _: &str) -> std::io::Result<String> {
            let answer = self.0.lock().pop().expect("no more questions than answers");
            Ok(answer.to_owned())
        }

        fn mask(&self, _: &str) {}
    }

    #[tokio::test]
    async fn an_answer_is_known_by_its_first_letter() {
        let said = Arc::new(RecordedOutput::default());
        let on_error = OnError::Ask;
        let mut ctx = context(PrepareContext { on_error, ..PrepareContext::default() }, &said);
        let cases: [(&[&'static str], &str); 4] = [
            (&[""], "one is cleaned up"),
            (&["what?", " Clean "], "one is cleaned up"),
            (&["ABORT"], "one is left"),
            (&["retry", "a"], "one is left"),
        ];
        for (answers, ends) in cases {
            ctx.ui = Answers::ui(answers);
            let step: Box<dyn Step<Vec<String>>> =
                Box::new(Noted { name: "one", cancels: false, fails: true });
            let mut done = Vec::new();
            run_steps(&ctx, &[step], &mut done).await.unwrap_err();
            assert_eq!(done.last().map(String::as_str), Some(ends), "{answers:?}");
            let runs = done.iter().filter(|what| *what == "one runs").count();
            assert_eq!(runs, 1 + usize::from(answers[0] == "retry"), "{answers:?}");
        }
    }

    /// Provisioners that fail twice.
    #[derive(Default)]
    struct FailsTwice {
        runs: AtomicU32,
        cleanups: AtomicU32,
    }

    #[async_trait]
    impl crate::Hook for FailsTwice {
        async fn provision(
            &self,
            _: &RunContext,
            _: Arc<dyn Communicator>,
            _: GeneratedData,
            _: Provisioning,
        ) -> Result<()> {
            match self.runs.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Err(Error::new("no luck")),
                _ => Ok(()),
            }
        }

        async fn cleanup_provision(
            &self,
            _: &RunContext,
            _: Arc<dyn Communicator>,
            _: GeneratedData,
        ) -> Result<()> {
            self.cleanups.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    struct NoMachine;

    impl Provisioned for NoMachine {
        fn communicator(&self) -> Option<Arc<dyn Communicator>> {
            None
        }

        fn data(&self) -> GeneratedData {
            GeneratedData::default()
        }
    }

    #[tokio::test]
    async fn provisioners_that_are_tried_again_are_not_cleaned_up_before() {
        let said = Arc::new(RecordedOutput::default());
        let on_error = OnError::Ask;
        let mut ctx = context(PrepareContext { on_error, ..PrepareContext::default() }, &said);
        let hook = Arc::new(FailsTwice::default());
        ctx.ui = Answers::ui(&["r", "r"]);
        ctx.hook = Arc::clone(&hook) as Arc<dyn crate::Hook>;
        let steps: [Box<dyn Step<NoMachine>>; 1] = [Box::new(ProvisionStep)];
        run_steps(&ctx, &steps, &mut NoMachine).await.unwrap();
        assert_eq!(hook.runs.load(Ordering::Relaxed), 3);
        assert_eq!(hook.cleanups.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn each_step_is_reported_with_its_outcome() {
        let said = Arc::new(RecordedOutput::default());
        let mut ctx = context(PrepareContext::default(), &said);
        ctx.ui = ctx.ui.for_build("null.a");
        let step = |name, fails| Box::new(Noted { name, cancels: false, fails });
        let steps: [Box<dyn Step<Vec<String>>>; 3] =
            [step("one", false), step("two", true), step("three", false)];
        run_steps(&ctx, &steps, &mut Vec::new()).await.unwrap_err();
        let mut told = Vec::new();
        for event in said.events() {
            match event {
                crate::Event::StepStart { step, .. } => told.push(format!("{} begins", step.name)),
                crate::Event::StepEnd { outcome, .. } => told.push(format!("{outcome:?}")),
                _ => {}
            }
        }
        let failed = "Failed(\"no luck\")";
        assert_eq!(
            told,
            ["one begins", "Succeeded", "two begins", failed, "clean up begins", "Succeeded"]
        );
    }
}
