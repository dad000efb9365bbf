//! Runs a node's provisioners when its builder says that the machine is up.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ingot_sdk::{
    CachedStates, Communicator, Context as _, Error, GeneratedData, GoDuration, Hook, OnError,
    Prepare, PrepareContext, Provision, Provisioning, Result, RunContext, Sbom, Schema, StateKey,
    StepInfo, StepKind,
};
use ingot_template::steps::Step;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::blocks::{prepare_config, step_options};
use super::build_values::{BuildValues, with_no_server};
use super::interrupts::Interrupts;
use super::prepare::run_names;
use super::project::Project;
use super::resume::Keeper;
use super::step_cache::{NodeCache, ProvisionerStatus};
use crate::graph::Node;
use ingot_hcl::Unknowns;
use ingot_hcl::diagnostic::Diagnostics;

/// The hook of one node.
pub(super) struct NodeHook {
    pub project: Arc<Project>,
    pub node: Arc<Node>,
    pub values: Arc<BuildValues>,
    /// The bills of materials that provisioners took or made.
    pub sboms: Mutex<Vec<Sbom>>,
    /// What becomes of the states of its machine.
    pub cache: NodeCache,
    /// From where to where the build goes, and what is kept of it.
    pub keeper: Arc<Keeper>,
    pub cleanup: Cleanup,
}

/// Whether, and for how long, a node's error-cleanup-provisioner may run, and what became of it.
pub(super) struct Cleanup {
    interrupts: Interrupts,
    /// There until it has run.
    expected: Mutex<Option<TaskTrackerToken>>,
    /// Why it failed.
    failure: Mutex<Option<Error>>,
}

impl Cleanup {
    pub(super) fn new(interrupts: &Interrupts, node: &Node, on_error: OnError) -> Self {
        let may_run = match on_error {
            OnError::Abort | OnError::Keep => false,
            OnError::Cleanup | OnError::Ask | OnError::RunCleanupProvisioner => {
                node.error_cleanup.is_some()
            }
        };
        let expected = may_run.then(|| interrupts.expect_cleanup());
        Cleanup {
            interrupts: interrupts.clone(),
            expected: Mutex::new(expected),
            failure: Mutex::default(),
        }
    }

    /// It has run, or will not any more.
    pub(super) fn over(&self) {
        self.expected.lock().take();
    }

    /// The build's `error`, which says, in Packer's words, why this failed as well, if it did. Kind, hint
    /// and cause stay those of the build's.
    pub(super) fn add_failure(&self, error: Error) -> Error {
        let failure = self.failure.lock().take();
        let Some(failure) = failure else { return error };
        let message = format!("Cleanup failed: {failure}. Original Provisioning error: {error}");
        error.reworded(message)
    }
}

/// Evaluates a block with the values that only the run knows, and makes of its plugin what can run. `data`
/// is whole (see [`with_no_server`]).
pub(super) fn prepare_step<R: ?Sized>(
    hook: &NodeHook,
    step: &Step,
    plugin: &dyn Prepare<R>,
    data: &GeneratedData,
    ctx: &RunContext,
) -> Result<Box<R>> {
    let schema = &plugin.schema();
    let mut diagnostics = Diagnostics::default();
    let scope = hook.project.scope();
    let scope = scope.with(run_names(&hook.node, hook.values.during(data)));
    let config = step_options(step, &hook.node, schema, &scope, Unknowns::Refuse, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(Error::new(diagnostics.render(&hook.project.sources, false).trim_end()));
    }
    let context = PrepareContext { cancel: ctx.cancel.clone(), ..(*ctx.prepare).clone() };
    let prepared = match prepare_config(plugin, &config, schema, &context) {
        Err(_) if ctx.cancel.is_cancelled() => return Err(Error::Cancelled),
        prepared => prepared?,
    };
    // Warnings were reported before the run, except those that depend on values of the run.
    if was_open(hook, step, schema) {
        for warning in prepared.warnings {
            ctx.ui.say(format!("Warning: {}", warning.message));
        }
    }
    Ok(prepared.ready)
}

/// Whether some options of a step were not known before the run.
fn was_open(hook: &NodeHook, step: &Step, schema: &Schema) -> bool {
    let scope = hook.project.scope();
    let scope = scope.with(run_names(&hook.node, hook.values.before()));
    let ignored = &mut Diagnostics::default();
    let config = step_options(step, &hook.node, schema, &scope, Unknowns::Allow, ignored);
    !config.is_wholly_known()
}

impl NodeHook {
    /// How the builder keeps states of its machines, if it does.
    pub(super) fn cached_states(&self) -> Option<CachedStates> {
        self.project.builder_facts(&self.node.ty).states
    }

    /// The bills of materials so far.
    pub(super) fn sboms(&self) -> Vec<Sbom> {
        self.sboms.lock().clone()
    }

    /// The description of a step in events.
    pub(super) fn info(&self, kind: StepKind, step: &Step) -> StepInfo {
        StepInfo {
            label: step.name.clone().filter(|name| !name.is_empty()),
            place: Some(self.project.place(step.block.header)),
            ..StepInfo::new(kind, step.block.label(0))
        }
    }

    /// Runs a provisioner, and reports it as `info`.
    async fn step(
        &self,
        step: &Step,
        info: StepInfo,
        ctx: &RunContext,
        communicator: &Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<ProvisionerStatus> {
        let running = ctx.ui.step(info);
        let result = self.run_step(step, ctx, communicator, data).await;
        match &result {
            Ok(ProvisionerOutcome::Tolerated(error)) => running.tolerate(error),
            _ => running.end(&result),
        }
        Ok(match result? {
            ProvisionerOutcome::Succeeded => ProvisionerStatus::Succeeded,
            ProvisionerOutcome::Retried => ProvisionerStatus::Retried,
            ProvisionerOutcome::Tolerated(_) => ProvisionerStatus::Tolerated,
        })
    }

    /// Runs a provisioner.
    async fn run_step(
        &self,
        step: &Step,
        ctx: &RunContext,
        communicator: &Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<ProvisionerOutcome> {
        let kind = step.block.label(0);
        let plugin = self.project.plugins.provisioners.get(kind);
        let plugin =
            plugin.ok_or_else(|| Error::new(format!("no provisioner is called `{kind}`")))?;
        let data = &with_no_server(data.clone());
        let ready = prepare_step(self, step, &**plugin, data, ctx)?;
        if let Some(complaint) = self.values.complaint(&step.block, data) {
            ctx.ui.error(complaint);
        }
        let work = Work { ready: &*ready, communicator, data };
        let result = provision(step, ctx, &work).await;
        if result.is_err() {
            // The machine may live longer than this program.
            communicator.settle().await;
        }
        match result {
            Err(error) if step.continue_on_error && !error.is_cancelled() => {
                ctx.ui.say(format!(
                    "Warning: Provisioner failed with {:?}, but continue_on_error is set; \
                     continuing the build.",
                    error.to_string()
                ));
                clean_up(ctx, &work).await;
                Ok(ProvisionerOutcome::Tolerated(error))
            }
            Ok(true) => Ok(ProvisionerOutcome::Succeeded),
            Ok(false) => Ok(ProvisionerOutcome::Retried),
            Err(error) => Err(error),
        }
    }
}

/// The outcome of a provisioner after which the build goes on.
enum ProvisionerOutcome {
    /// It succeeded at once.
    Succeeded,
    /// It succeeded after it had failed.
    Retried,
    /// It failed, which the template tolerates.
    Tolerated(Error),
}

/// How long a provisioner has to stop after its `timeout`.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a provisioner may take to remove what it left; the machine may have to come back for that.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(300);

/// A provisioner, and what it works on.
struct Work<'a> {
    ready: &'a dyn Provision,
    communicator: &'a Arc<dyn Communicator>,
    data: &'a GeneratedData,
}

/// Runs a provisioner the way the engine's own options of the step ask for. The messages are Packer's.
/// Returns whether it succeeded at once.
async fn provision(step: &Step, ctx: &RunContext, work: &Work<'_>) -> Result<bool> {
    if ctx.prepare.debug {
        tokio::select! {
            () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
            // Without anybody to ask, -debug does not pause.
            _ = ctx.ui.ask("Pausing before the next provisioner. Press enter to continue.") => {}
        }
    }
    let mut left = step.max_retries;
    loop {
        match ctx.unless_cancelled(attempt(step, ctx, work)).await {
            Err(error) if left > 0 && !error.is_cancelled() => {
                ctx.ui.say(format!(
                    "Provisioner failed with {:?}, retrying with {left} trie(s) left",
                    error.to_string()
                ));
                left -= 1;
            }
            result => {
                if result.is_err() && step.max_retries > 0 {
                    ctx.ui.say("retry limit reached.");
                }
                return result.map(|()| left == step.max_retries);
            }
        }
    }
}

/// Lets a provisioner that failed remove what it left on the machine, of which an image will be made.
async fn clean_up(ctx: &RunContext, work: &Work<'_>) {
    let cleaning = ctx.unless_cancelled(work.ready.clean_up(ctx, &**work.communicator));
    let error = match tokio::time::timeout(CLEAN_UP_TIMEOUT, cleaning).await {
        Ok(Ok(()) | Err(Error::Cancelled)) => return,
        Ok(Err(error)) => error,
        Err(_) => Error::new(format!("not done after {}", GoDuration(CLEAN_UP_TIMEOUT))),
    };
    ctx.ui.error(format!("It may have left files on the machine: {error}"));
}

async fn attempt(step: &Step, ctx: &RunContext, work: &Work<'_>) -> Result<()> {
    if !step.pause_before.is_zero() {
        let pause = GoDuration(step.pause_before);
        ctx.ui.say(format!("Pausing {pause} before the next provisioner..."));
        tokio::time::sleep(step.pause_before).await;
    }
    let run = |ctx| work.ready.provision(ctx, Arc::clone(work.communicator), work.data);
    let Some(limit) = step.timeout else { return run(ctx).await };
    let shown = GoDuration(limit);
    ctx.ui.say(format!("Setting a {shown} timeout for the next provisioner..."));
    let part = ctx.part();
    let mut running = pin!(part.unless_cancelled(run(&part)));
    match tokio::time::timeout(limit, &mut running).await {
        Ok(result) => result,
        Err(_) => {
            ctx.ui.error("Cancelling provisioner after a timeout...");
            part.cancel.cancel();
            // What it says of that is not the reason.
            let _ = tokio::time::timeout(STOP_TIMEOUT, running).await;
            Err(Error::new(format!("the provisioner did not finish within its timeout of {shown}")))
        }
    }
}

#[async_trait]
impl Hook for NodeHook {
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        mut data: GeneratedData,
        provisioning: Provisioning,
    ) -> Result<()> {
        let steps = &self.node.provisioners;
        let first = provisioning.done.max(self.keeper.start());
        self.cache.note_base(self, &provisioning).await;
        let mut states = self.cache.begin(self, ctx, &provisioning);
        self.keeper.provisioned(first);
        for (index, step) in steps.iter().enumerate() {
            let info = self.info(StepKind::Provisioner, step).numbered(index + 1, steps.len());
            if states.is_cached(index) {
                states.use_cached(index, info).await;
                continue;
            }
            if index < first {
                continue;
            }
            if self.keeper.stops_before(index) {
                let name = step.shown_name();
                ctx.ui
                    .say(format!("Stopping before the provisioner {name:?}, as -stop-before asks"));
                self.keeper.stop(name);
                return Err(Error::Cancelled);
            }
            if let Some(snapshots) = &provisioning.snapshots {
                data.extend(snapshots.go_on(ctx).await.context("going on after a kept state")?);
            }
            let ran = self.step(step, info, ctx, &communicator, &data).await?;
            self.keeper.provisioned(index + 1);
            states.keep(index, ran).await?;
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
        let info = self.info(StepKind::ErrorCleanup, step);
        let work = self.step(step, info, &ctx, &communicator, &data);
        let ended = self.cleanup.interrupts.clean_up(&ctx.cancel, work).await;
        self.cleanup.over();
        ended.map(drop)
    }

    fn cleanup_failed(&self, error: Error) {
        *self.cleanup.failure.lock() = Some(error);
    }

    async fn state_keys(&self, ctx: &RunContext, base: &StateKey) -> Vec<StateKey> {
        if self.keeper.start() > 0 {
            // What is left out is missing on the machine, which is then no state of its steps.
            return Vec::new();
        }
        let mut keys = self.cache.state_keys(self, ctx, base).await;
        // Nothing beyond where the build is to stop.
        keys.truncate(self.keeper.stop_index().unwrap_or(usize::MAX));
        keys
    }

    async fn base_state_key(&self, ctx: &RunContext, base: &StateKey) -> Option<StateKey> {
        // With -debug, somebody may change anything between the builder's steps.
        (!ctx.prepare.debug).then(|| self.cache.base_state_key(base)).flatten()
    }

    async fn cached_result(&self, made_with: &StateKey) -> Option<serde_json::Value> {
        self.keeper.stop_index().is_none().then(|| self.cache.cached_result(made_with)).flatten()
    }

    async fn cache_result(&self, made_with: &StateKey, result: serde_json::Value) {
        self.cache.cache_result(made_with, result).await;
    }

    fn shared_states(&self) -> Option<std::path::PathBuf> {
        self.cache.shared_states()
    }

    fn state_records(&self) -> Option<std::path::PathBuf> {
        self.cache.state_records(self.cached_states())
    }

    fn keep_sbom(&self, sbom: Sbom) {
        self.keeper.took(&sbom);
        self.sboms.lock().push(sbom);
    }

    fn kept_machine(&self) -> Option<serde_json::Value> {
        self.keeper.kept_machine()
    }

    fn keep_machine(&self, machine: serde_json::Value) {
        self.keeper.keep_machine(machine);
    }
}
