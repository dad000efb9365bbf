//! Runs prepared nodes in parallel.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ingot_sdk::{Artifact, Error, GeneratedData, Hook, Journal, Result, RunContext, Ui};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hook::NodeHook;
use super::post_process::pipelines;
use super::prepare::PreparedNode;
use super::project::Project;

/// How to run.
pub struct RunOptions {
    /// How many nodes at once; none for all.
    pub parallel: Option<usize>,
    /// Where everybody speaks.
    pub ui: Ui,
    /// Where created things are written down.
    pub journal: Arc<dyn Journal>,
    /// Fires when everything must stop.
    pub cancel: CancellationToken,
}

/// How a node went.
pub struct Outcome {
    /// The node's name.
    pub name: String,
    /// What it made, or why not.
    pub result: Result<Vec<Arc<dyn Artifact>>>,
    /// How long it took.
    pub took: Duration,
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
        let (project, slots) = (Arc::clone(&project), Arc::clone(&slots));
        let ui = options.ui.for_build(&prepared.node.name);
        let hook =
            Arc::new(NodeHook { project: Arc::clone(&project), node: Arc::clone(&prepared.node) });
        let ctx = RunContext {
            prepare: Arc::clone(&prepared.context),
            ui: ui.clone(),
            cancel: options.cancel.child_token(),
            journal: Arc::clone(&options.journal),
            hook: Arc::clone(&hook) as Arc<dyn Hook>,
        };
        tasks.spawn(async move {
            // The semaphore is never closed, and serves first come, first served.
            let _slot = slots.acquire().await;
            let started = Instant::now();
            let result = match ctx.cancel.is_cancelled() {
                true => Err(Error::Cancelled),
                false => run_node(&hook, &prepared, &ctx).await,
            };
            (index, result, started.elapsed())
        });
    }
    let mut outcomes: Vec<Option<Outcome>> = names.iter().map(|_| None).collect();
    while let Some(joined) = tasks.join_next().await {
        let (index, result, took) = match joined {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "a build ended abnormally");
                continue;
            }
        };
        let name = names[index].clone();
        announce(&options.ui.for_build(&name), &name, &result, took);
        outcomes[index] = Some(Outcome { name, result, took });
    }
    outcomes
        .into_iter()
        .zip(names)
        .map(|(outcome, name)| {
            outcome.unwrap_or_else(|| Outcome {
                name,
                result: Err(Error::new("the build ended abnormally; this is a bug in Ingot")),
                took: Duration::ZERO,
            })
        })
        .collect()
}

fn announce(ui: &Ui, name: &str, result: &Result<Vec<Arc<dyn Artifact>>>, took: Duration) {
    let took = human(took);
    match result {
        Ok(_) => ui.say(format!("Build '{name}' finished after {took}.")),
        Err(Error::Cancelled) => ui.error(format!("Build '{name}' was cancelled after {took}.")),
        Err(error) => {
            ui.error(format!("Build '{name}' errored after {took}: {error}"));
            if let Some(advice) = error.advice() {
                ui.error(format!("help: {advice}"));
            }
        }
    }
}

async fn run_node(
    hook: &NodeHook,
    prepared: &PreparedNode,
    ctx: &RunContext,
) -> Result<Vec<Arc<dyn Artifact>>> {
    let Some(built) = prepared.builder.run(ctx).await? else { return Ok(Vec::new()) };
    if ctx.cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    let data: GeneratedData = built
        .state("generated_data")
        .and_then(|data| serde_json::from_value(data).ok())
        .unwrap_or_default();
    pipelines(hook, ctx, built, &data).await
}

/// A duration for people: `1 minute 5 seconds`, `250 milliseconds`.
pub fn human(duration: Duration) -> String {
    let unit = |count: u64, name: &str| match count {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    };
    if duration < Duration::from_secs(1) {
        return unit(duration.as_millis() as u64, "millisecond");
    }
    let seconds = duration.as_secs();
    let parts = [(seconds / 3600, "hour"), (seconds / 60 % 60, "minute"), (seconds % 60, "second")];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| unit(*count, name))
        .collect();
    shown.join(" ")
}
