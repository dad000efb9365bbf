//! Runs prepared nodes in parallel.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ingot_sdk::process::Processes;
use ingot_sdk::{
    Artifact, ArtifactSummary, Error, Hook, Result, RunContext, StepInfo, StepKind, StepOutcome,
    TestSubject, Ui,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::artifact_tests::{NodeTests, dispose, subject_of};
use super::hook::{Cleanup, NodeHook};
use super::interrupts::Interrupts;
use super::journal::FileJournal;
use super::post_process::Pipelines;
use super::prepare::PreparedNode;
use super::project::Project;
use super::publish::{Publisher, Start, Unpublished};
use super::resume::{EndMessages, KeepOptions};
use super::step_cache::{NodeCache, StepCache};

/// How long the notification that a build begins may still take once the build is interrupted, and
/// then the one that it does not. A registry that responds at all responds within that time.
const START_PATIENCE: Duration = Duration::from_secs(2);

/// How to run.
pub struct RunOptions {
    /// How many nodes at once; none for all.
    pub parallel: Option<usize>,
    /// Where everybody speaks.
    pub ui: Ui,
    /// Where created things are written down.
    pub journal: Arc<FileJournal>,
    /// What interrupts ask for.
    pub interrupts: Interrupts,
    /// Publishes what is made; none where nothing is.
    pub publisher: Option<Arc<dyn Publisher>>,
    /// Keeps states of machines for later runs.
    pub step_cache: Arc<StepCache>,
    /// From where to where builds go, and how they are kept.
    pub keep: KeepOptions,
    /// What is tested.
    pub tests: Tests,
}

/// What the tests of a node run on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tests {
    /// What its builder makes.
    #[default]
    Built,
    /// Nothing: there are no tests.
    Skipped,
    /// This, and nothing is built.
    Only(TestSubject),
}

/// How a node went.
pub struct Outcome {
    /// The node's name.
    pub name: String,
    /// What it made, or why not.
    pub result: Result<Vec<Arc<dyn Artifact>>>,
    /// Why what it made was not published, if it should have been.
    pub unpublished: Option<Unpublished>,
    /// How long it took.
    pub took: Duration,
    /// Whether it stopped where it was asked to, and has made nothing for that reason.
    pub stopped: bool,
}

/// The outcome of a node, without its name.
struct NodeOutcome {
    result: Result<Vec<Arc<dyn Artifact>>>,
    unpublished: Option<Unpublished>,
}

/// Runs the nodes and returns how they went, in the order given.
pub async fn run(
    project: Arc<Project>,
    nodes: Vec<PreparedNode>,
    options: &RunOptions,
) -> Vec<Outcome> {
    let limit = options.parallel.unwrap_or(nodes.len()).max(1);
    let slots = Arc::new(Semaphore::new(limit));
    let names: Vec<String> = nodes.iter().map(|node| node.node.name.clone()).collect();
    let mut tasks = JoinSet::new();
    for (index, prepared) in nodes.into_iter().enumerate() {
        // Taken here rather than in the task, so that builds start in the template's order.
        let slot = tokio::select! {
            biased;
            () = options.interrupts.cancel.cancelled() => None,
            // The semaphore is never closed.
            slot = Arc::clone(&slots).acquire_owned() => Some(slot),
        };
        let project = Arc::clone(&project);
        let ui = options.ui.for_build(&prepared.node.name);
        let keeper = Arc::new(options.keep.keeper(&project, &prepared, &options.journal, &ui));
        let Some(slot) = slot else {
            keeper.never_began();
            continue;
        };
        let hook = Arc::new(NodeHook {
            project: Arc::clone(&project),
            node: Arc::clone(&prepared.node),
            values: Arc::clone(&prepared.values),
            sboms: keeper.sboms().into(),
            cache: NodeCache::new(Arc::clone(&options.step_cache)),
            keeper: Arc::clone(&keeper),
            cleanup: Cleanup::new(&options.interrupts, &prepared.node, prepared.context.on_error),
        });
        let ctx = RunContext {
            prepare: Arc::clone(&prepared.context),
            ui: ui.clone(),
            cancel: options.interrupts.cancel.child_token(),
            journal: keeper.journal(),
            hook: Arc::clone(&hook) as Arc<dyn Hook>,
            processes: Processes::default(),
        };
        let publisher = options.publisher.clone();
        let tests = options.tests.clone();
        // What the log says of a build is found by this.
        let span = tracing::info_span!("build", name = prepared.node.name);
        tasks.spawn(
            async move {
                let _slot = slot;
                tracing::info!(build = prepared.node.name, "starting a build");
                let started = Instant::now();
                ui.build_start(Some(hook.project.place(prepared.node.header)));
                let ended = match publisher {
                    Some(publisher) => published(&*publisher, &hook, &prepared, &ctx, &tests).await,
                    None => {
                        let result = run_node(&hook, &prepared, &ctx, &tests).await;
                        Some(NodeOutcome { result, unpublished: None })
                    }
                };
                let took = started.elapsed();
                let name = &prepared.node.name;
                let companion = &hook.project.companion;
                let tested = companion.tests_of(&prepared.node.component).next().is_some();
                let EndMessages { stopped, kept } = hook.keeper.end_messages(tested);
                match (&ended, &stopped) {
                    (Some(_), Some(step)) => ui.verdict(
                        false,
                        format!("Build '{name}' stopped before the provisioner {step:?}."),
                    ),
                    (Some(ended), None) if matches!(tests, Tests::Only(_)) => {
                        announce_tests(&ui, name, &ended.result, took);
                    }
                    (Some(ended), None) => announce(&ui, name, &ended.result, took),
                    (None, _) => ui.verdict(false, format!("skipping already done build {name:?}")),
                }
                if let Some(kept) = kept {
                    ui.verdict(stopped.is_none(), kept);
                }
                report_end(&ui, ended.as_ref().filter(|_| stopped.is_none()));
                let nothing = || NodeOutcome { result: Ok(Vec::new()), unpublished: None };
                let ended = ended.filter(|_| stopped.is_none()).unwrap_or_else(nothing);
                (index, ended, took, stopped.is_some())
            }
            .instrument(span),
        );
    }
    let mut outcomes: Vec<Option<Outcome>> = names.iter().map(|_| None).collect();
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok((index, NodeOutcome { result, unpublished }, took, stopped)) => {
                let name = names[index].clone();
                outcomes[index] = Some(Outcome { name, result, unpublished, took, stopped });
            }
            Err(error) => tracing::error!(%error, "a build ended abnormally"),
        }
    }
    let cancelled = options.interrupts.cancel.is_cancelled();
    outcomes
        .into_iter()
        .zip(names)
        .map(|(outcome, name)| {
            outcome.unwrap_or_else(|| Outcome {
                name,
                result: Err(match cancelled {
                    true => Error::Cancelled,
                    false => Error::new("the build ended abnormally; this is a bug in Ingot"),
                }),
                unpublished: None,
                took: Duration::ZERO,
                stopped: false,
            })
        })
        .collect()
}

/// Tells those who show or write down what happens how a build ended; none was done before.
fn report_end(ui: &Ui, ended: Option<&NodeOutcome>) {
    let Some(ended) = ended else {
        return ui.build_end(StepOutcome::Skipped, None, Vec::new());
    };
    let outcome = match (&ended.result, &ended.unpublished) {
        (Ok(_), Some(Unpublished { error, kept: true })) => {
            StepOutcome::Tolerated(error.to_string())
        }
        (Ok(_), Some(Unpublished { error, kept: false })) => StepOutcome::of_error(error),
        (result, _) => StepOutcome::of(result),
    };
    let error = ended.result.as_ref().err();
    let error = error.or(ended.unpublished.as_ref().map(|unpublished| &unpublished.error));
    let artifacts = ended.result.iter().flatten();
    let artifacts = artifacts.map(|artifact| ArtifactSummary::of(&**artifact)).collect();
    ui.build_end(outcome, error.and_then(Error::advice), artifacts);
}

fn announce(ui: &Ui, name: &str, result: &Result<Vec<Arc<dyn Artifact>>>, took: Duration) {
    let took = human(took);
    match result {
        Ok(_) => ui.verdict(false, format!("Build '{name}' finished after {took}.")),
        Err(error) => announce_error(ui, &format!("Build '{name}' errored after {took}"), error),
    }
}

/// How the tests of an artifact went that was there before.
fn announce_tests<T>(ui: &Ui, name: &str, result: &Result<T>, took: Duration) {
    let took = human(took);
    match result {
        Ok(_) => ui.verdict(false, format!("Tests of '{name}' passed after {took}.")),
        Err(error) => announce_error(ui, &format!("Tests of '{name}' failed after {took}"), error),
    }
}

fn announce_error(ui: &Ui, what: &str, error: &Error) {
    ui.verdict(true, format!("{what}: {}", ui.masked(&error.to_string())));
    if let Some(advice) = error.advice() {
        ui.verdict(true, format!("help: {}", ui.masked(advice)));
    }
}

/// Runs a node and publishes what it makes; none if that was done before.
async fn published(
    publisher: &dyn Publisher,
    hook: &NodeHook,
    prepared: &PreparedNode,
    ctx: &RunContext,
    tests: &Tests,
) -> Option<NodeOutcome> {
    let node = &prepared.node;
    let late = async {
        ctx.cancel.cancelled().await;
        tokio::time::sleep(START_PATIENCE).await;
    };
    let start = tokio::select! {
        biased;
        start = publisher.start(node, &ctx.ui) => start,
        () = late => {
            hook.keeper.never_began();
            // The registry may have got the notification that the build runs all the same.
            let failed = publisher.failed(node, &Error::Cancelled, &ctx.ui);
            let _ = tokio::time::timeout(START_PATIENCE, failed).await;
            return Some(NodeOutcome { result: Err(Error::Cancelled), unpublished: None });
        }
    };
    if start == Start::Done {
        return None;
    }
    let mut result = run_node(hook, prepared, ctx, tests).await;
    let mut unpublished = None;
    match &mut result {
        Ok(artifacts) => {
            let running = ctx.ui.step(StepInfo::new(StepKind::Publish, "publish"));
            let sboms = hook.sboms();
            match publisher.publish(node, artifacts, &sboms, &ctx.ui, &ctx.cancel).await {
                Ok(publication) => {
                    running.end_as(StepOutcome::Succeeded);
                    artifacts.push(publication);
                }
                Err(why) => {
                    match why.kept {
                        true => running.tolerate(&why.error),
                        false => running.fail(&why.error),
                    }
                    ctx.ui.failure(why.error.to_string(), &why.error);
                    unpublished = Some(why);
                }
            }
        }
        Err(error) => publisher.failed(node, error, &ctx.ui).await,
    }
    Some(NodeOutcome { result, unpublished })
}

async fn run_node(
    hook: &NodeHook,
    prepared: &PreparedNode,
    ctx: &RunContext,
    tests: &Tests,
) -> Result<Vec<Arc<dyn Artifact>>> {
    let node_tests =
        NodeTests { project: &hook.project, node: &prepared.node, prepare: &ctx.prepare };
    if let Tests::Only(subject) = tests {
        return node_tests.run(ctx, subject).await.map(|()| Vec::new());
    }
    let built = match hook.keeper.artifact() {
        Some(built) => built,
        None => {
            let mut step = StepInfo::new(StepKind::Builder, &prepared.node.ty);
            step.place = Some(hook.project.place(prepared.node.header));
            let running = ctx.ui.step(step);
            let built = prepared.builder.build(ctx).await;
            hook.cleanup.over();
            let built = built.map_err(|error| hook.cleanup.add_failure(error));
            running.end(&built);
            let built = built.inspect_err(|error| hook.keeper.failed(error))?;
            let Some(built) = built else {
                hook.keeper.succeeded(None);
                return Ok(Vec::new());
            };
            built
        }
    };
    if ctx.cancel.is_cancelled() {
        // The builder does not remove what is whole, so somebody has to know of it.
        ctx.ui
            .error(format!("It was created before the build was stopped: {}", built.description()));
        hook.keeper.leaves(&*built, true, &Error::Cancelled);
        return Err(Error::Cancelled);
    }
    if *tests == Tests::Built && !node_tests.is_empty() {
        // Before anything is done with it: what fails goes nowhere.
        if let Err(error) = node_tests.run(ctx, &subject_of(&*built)).await {
            dispose(hook, ctx, &*built, &error).await;
            return Err(error);
        }
    }
    Pipelines { hook, ctx }.run(built).await
}

/// A duration for people, in its two largest units, as Packer writes it: `1 minute 5 seconds`,
/// `1 second 250 milliseconds`.
pub fn human(duration: Duration) -> String {
    const UNITS: [(&str, u128); 8] = [
        ("year", 365 * 86_400_000_000),
        ("week", 7 * 86_400_000_000),
        ("day", 86_400_000_000),
        ("hour", 3_600_000_000),
        ("minute", 60_000_000),
        ("second", 1_000_000),
        ("millisecond", 1_000),
        ("microsecond", 1),
    ];
    let mut left = duration.as_micros();
    let mut parts = Vec::new();
    for (name, size) in UNITS {
        match left / size {
            0 => {}
            1 => parts.push(format!("1 {name}")),
            count => parts.push(format!("{count} {name}s")),
        }
        left %= size;
    }
    parts.truncate(2);
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_their_two_largest_units() {
        let shown = |micros| human(Duration::from_micros(micros));
        assert_eq!(shown(8_068), "8 milliseconds 68 microseconds");
        assert_eq!(shown(1_000_000), "1 second");
        assert_eq!(shown(61_250_000), "1 minute 1 second");
        assert_eq!(shown(3_600_000_000 + 5_000), "1 hour 5 milliseconds");
        assert_eq!(shown(90_000_000_000), "1 day 1 hour");
    }
}
