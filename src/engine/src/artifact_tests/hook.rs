//! The hook of a machine that is tested: it runs checks where a build would run provisioners.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use ingot_checks::{Shell, Verdict};
use ingot_sdk::{
    Communicator, Error, GeneratedData, GoDuration, Hook, Provisioning, Result, RunContext,
    StepInfo, StepKind, StepOutcome,
};
use ingot_template::companion::{TestBlock, TestCheck};
use parking_lot::Mutex;

use crate::Project;

/// Runs tests.
pub(super) struct TestHook {
    project: Arc<Project>,
    tests: Vec<TestBlock>,
    /// What became of each test that ran.
    counts: Mutex<Option<Vec<Count>>>,
}

/// What became of the checks of a test.
#[derive(Debug, Clone)]
struct Count {
    test: String,
    all: usize,
    failed: usize,
    first: Option<String>,
}

impl TestHook {
    pub(super) fn new(project: Arc<Project>, tests: Vec<TestBlock>) -> Self {
        TestHook { project, tests, counts: Mutex::default() }
    }

    /// How the checks went; none if none was made.
    pub(super) fn result(&self) -> Option<Result<()>> {
        let counts = self.counts.lock().clone()?;
        let failed: Vec<String> =
            counts.iter().filter(|count| count.failed > 0).map(Count::sentence).collect();
        Some(match failed.is_empty() {
            true => Ok(()),
            false => Err(Error::new(failed.join("; "))),
        })
    }

    async fn test(&self, test: &TestBlock, ctx: &RunContext, machine: &dyn Communicator) -> Count {
        ctx.ui.say(format!("Running test: {}", test.name));
        let started = Instant::now();
        let shell = Shell { communicator: machine, sudo: test.sudo };
        let all = test.checks.len();
        let mut count = Count { test: test.name.clone(), all, failed: 0, first: None };
        for (index, check) in test.checks.iter().enumerate() {
            let info = StepInfo {
                label: Some(check.check.name.clone()),
                place: Some(self.project.place(check.header)),
                ..StepInfo::new(StepKind::Check, check.check.kind).numbered(index + 1, all)
            };
            let running = ctx.ui.step(info);
            let left = test.timeout.saturating_sub(started.elapsed());
            let verdict = match &check.check.skipped {
                Some(_) => None,
                None => Some(match tokio::time::timeout(left, check.check.run(shell)).await {
                    Ok(verdict) => verdict,
                    Err(_) => Verdict {
                        problems: vec![format!(
                            "the test's timeout of {} is over",
                            GoDuration(test.timeout)
                        )],
                        output: Vec::new(),
                    },
                }),
            };
            let outcome = tell(ctx, &test.name, check, verdict.as_ref());
            if let StepOutcome::Failed(why) = &outcome {
                count.failed += 1;
                let why = why.lines().next().unwrap_or_default();
                let shown = || format!("{}: {why}", title(check));
                count.first.get_or_insert_with(shown);
            }
            running.end_as(outcome);
        }
        count
    }
}

impl Count {
    fn sentence(&self) -> String {
        let Count { test, all, failed, first } = self;
        let first = first.as_deref().unwrap_or_default();
        match (all, failed) {
            (1, _) => format!("test {test:?} failed: {first}"),
            (_, 1) => format!("test {test:?}: 1 of {all} checks failed: {first}"),
            _ => format!("test {test:?}: {failed} of {all} checks failed, the first {first}"),
        }
    }
}

fn title(check: &TestCheck) -> String {
    format!("{} {:?}", check.check.kind, check.check.name)
}

/// Says how a check went; none if it was skipped.
fn tell(ctx: &RunContext, test: &str, check: &TestCheck, verdict: Option<&Verdict>) -> StepOutcome {
    let title = title(check);
    let state = |state: &str| {
        ctx.ui.machine("check", &[test, check.check.kind, &check.check.name, state]);
    };
    let Some(verdict) = verdict else {
        let why = check.check.skipped.as_deref().unwrap_or_default();
        ctx.ui.message(format!("skipped: {title} ({why})"));
        state("skipped");
        return StepOutcome::Skipped;
    };
    if verdict.problems.is_empty() {
        ctx.ui.message(format!("passed: {title}"));
        state("passed");
        return StepOutcome::Succeeded;
    }
    let problems = verdict.problems.join("; ");
    ctx.ui.error(format!("failed: {title}: {problems}"));
    verdict.output.iter().for_each(|line| ctx.ui.error(format!("  {line}")));
    state("failed");
    let whole = std::iter::once(problems).chain(verdict.output.iter().cloned());
    StepOutcome::Failed(whole.collect::<Vec<_>>().join("\n"))
}

#[async_trait]
impl Hook for TestHook {
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        _: GeneratedData,
        _: Provisioning,
    ) -> Result<()> {
        self.counts.lock().get_or_insert_default();
        for test in &self.tests {
            let info = StepInfo {
                place: Some(self.project.place(test.header)),
                ..StepInfo::new(StepKind::Test, &test.name)
            };
            let running = ctx.ui.step(info);
            let count =
                ctx.unless_cancelled(async { Ok(self.test(test, ctx, &*communicator).await) });
            let count = count.await?;
            running.end_as(match count.failed {
                0 => StepOutcome::Succeeded,
                _ => StepOutcome::Failed(count.sentence()),
            });
            self.counts.lock().get_or_insert_default().push(count);
        }
        // So that what is around the checks fails with them.
        self.result().unwrap_or(Ok(()))
    }

    fn is_of_build(&self) -> bool {
        false
    }
}
