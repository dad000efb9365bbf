//! The step cache of one build: its keys, and what becomes of its steps.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::SystemTime;

use ingot_sdk::{CachedStates, Provisioning, Result, RunContext, StateKey, StepInfo, StepOutcome};
use ingot_template::steps::Step;
use parking_lot::Mutex;
use serde_json::Value;
use time::OffsetDateTime;

use super::StepCache;
use super::index::CachedState;
use super::inputs::{BuildContext, Description, Inputs, Reason, describe, inputs};
use super::secret::{OWNER_DIGITS, Secret};
use crate::hook::NodeHook;

/// What a build knows of its steps.
pub(crate) struct NodeCache {
    run: Arc<StepCache>,
    /// What becomes of each step, once the builder has asked.
    plan: Mutex<Vec<StepPlan>>,
    /// Whether provisioners have run since.
    begun: AtomicBool,
    /// After how many provisioners, from the first on, the state was kept or came from the cache.
    held: AtomicUsize,
    /// The key of the machine before its provisioners, once the builder has asked.
    base: Mutex<Option<StateKey>>,
}

/// What becomes of a step.
#[derive(Clone)]
struct StepPlan {
    /// The state after it, or why there is none.
    state: Result<PlannedState, Reason>,
}

#[derive(Clone)]
struct PlannedState {
    key: StateKey,
    inputs: Inputs,
}

/// How a provisioner ended that did not fail the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProvisionerStatus {
    /// It succeeded at once.
    Succeeded,
    /// It succeeded after it had failed.
    Retried,
    /// It failed, and the build goes on.
    Tolerated,
}

/// What the state of a machine before its provisioners is a state after.
const BASE: &str = "its start";

/// Why no step after another that is not cached is.
pub(super) const AFTER: &str = "a step before it is not cached";

impl NodeCache {
    pub(crate) fn new(run: Arc<StepCache>) -> Self {
        NodeCache {
            run,
            plan: Mutex::default(),
            begun: false.into(),
            held: 0.into(),
            base: Mutex::default(),
        }
    }

    fn explains(&self) -> bool {
        self.run.options.explain
    }

    fn is_on(&self) -> bool {
        self.run.open.is_some()
    }

    /// See [`ingot_sdk::Hook::state_keys`].
    pub(crate) async fn state_keys(
        &self,
        hook: &NodeHook,
        ctx: &RunContext,
        base: &StateKey,
    ) -> Vec<StateKey> {
        let Some((_, secret)) = &self.run.open else { return Vec::new() };
        let states = hook.cached_states();
        if self.run.options.unasked(states).is_some() {
            return Vec::new();
        }
        let last_unkept = states.and_then(|states| states.last_unkept);
        let mut keys = Vec::new();
        let mut plan = Vec::new();
        let mut before = self.before_all(secret, base);
        for (index, step) in hook.node.provisioners.iter().enumerate() {
            let is_last = index + 1 == hook.node.provisioners.len();
            let found = match keys.len() == index {
                true if let Some(why) = last_unkept.filter(|_| is_last) => Err(why.to_owned()),
                true => self.step_inputs(hook, ctx, secret, step).await,
                // Of those after one that is not cached, only their own reasons are of interest.
                false => {
                    let own = self.description(hook, ctx, step).err();
                    Err(own.unwrap_or_else(|| AFTER.to_owned()))
                }
            };
            let state = found.map(|mut inputs| {
                let what = if index == 0 {
                    "the machine before the first step"
                } else {
                    "a step before it"
                };
                inputs.insert(0, (what.to_owned(), secret.hash([before.as_str()])));
                // A hash has what matters of its part's name; the names of files do not.
                before = before.then(inputs.iter().map(|(_, hash)| hash));
                let key = owned(&before, secret);
                keys.push(key.clone());
                PlannedState { key, inputs }
            });
            plan.push(StepPlan { state });
        }
        *self.plan.lock() = plan;
        self.begun.store(false, Relaxed);
        self.held.store(0, Relaxed);
        keys
    }

    /// See [`ingot_sdk::Hook::shared_states`].
    pub(crate) fn shared_states(&self) -> Option<PathBuf> {
        self.run.options.directory.clone().filter(|_| self.is_on())
    }

    /// See [`ingot_sdk::Hook::state_records`].
    pub(crate) fn state_records(&self, states: Option<CachedStates>) -> Option<PathBuf> {
        let (directory, _) = self.run.open.as_ref()?;
        let asked = self.run.options.unasked(states).is_none();
        asked.then(|| directory.path().to_owned())
    }

    /// The key of the state after all provisioners, if there is one.
    fn last_key(&self) -> Option<StateKey> {
        let plan = self.plan.lock();
        plan.last().and_then(|last| last.state.as_ref().ok()).map(|last| last.key.clone())
    }

    /// See [`ingot_sdk::Hook::cached_result`].
    pub(crate) fn cached_result(&self, made_with: &StateKey) -> Option<Value> {
        let (directory, state) = self.run.results.as_ref().zip(self.last_key())?;
        directory.index().result(&state, made_with).map(|kept| kept.result.clone())
    }

    /// See [`ingot_sdk::Hook::cache_result`].
    pub(crate) async fn cache_result(&self, made_with: &StateKey, result: Value) {
        let whole = self.held.load(Relaxed) == self.plan.lock().len();
        let found = self.run.results.as_ref().zip(self.last_key()).filter(|_| whole);
        let Some((directory, state)) = found else { return };
        let noted = directory.change(|index| index.cache_result(&state, made_with, result));
        if let Err(error) = noted.await {
            tracing::warn!(%error, "cannot note what was made of a state");
        }
    }

    /// The key of the machine before the first step, and of nothing else.
    fn before_all(&self, secret: &Secret, base: &StateKey) -> StateKey {
        // With a limit on age, states are made anew at the same times by everybody. What is older
        // than the beginning of such a time cannot be part of a state, on which others build.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let limit = self.run.options.max_age.map(|age| age.as_secs().max(1));
        let window = limit.map(|limit| format!("{limit} {}", since.as_secs() / limit));
        base.then([secret.hash([window.unwrap_or_default()])])
    }

    /// See [`ingot_sdk::Hook::base_state_key`].
    pub(crate) fn base_state_key(&self, base: &StateKey) -> Option<StateKey> {
        let (_, secret) = self.run.open.as_ref()?;
        let key = owned(&self.before_all(secret, base), secret);
        *self.base.lock() = Some(key.clone());
        Some(key)
    }

    /// Writes down that the state of the machine before its provisioners is kept, or was used. Only
    /// builders that keep one ask for its key.
    pub(crate) async fn note_base(&self, hook: &NodeHook, provisioning: &Provisioning) {
        let key = self.base.lock().clone().filter(|_| provisioning.snapshots.is_some());
        let (Some(key), Some((directory, _))) = (key, &self.run.open) else { return };
        let now = OffsetDateTime::now_utc();
        let noted = directory.change(|index| {
            let state = index.states.entry(key.to_string());
            let state = state.or_insert_with(|| CachedState {
                builder: hook.node.ty.clone(),
                template: self.run.options.template.clone(),
                build: hook.node.name.clone(),
                step: BASE.to_owned(),
                number: 0,
                created: now,
                used: now,
                inputs: Inputs::new(),
            });
            state.used = now;
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "cannot note that a state was kept");
        }
    }

    /// What a step depends on, or why it is not cached, before its files are read.
    fn description(
        &self,
        hook: &NodeHook,
        ctx: &RunContext,
        step: &Step,
    ) -> Result<Description, Reason> {
        if self.run.options.uncached.contains(step.shown_name()) {
            return Err("its `cache` is false".into());
        }
        if ctx.prepare.debug {
            return Err("with -debug, somebody may change anything between steps".into());
        }
        let build = BuildContext {
            project: &hook.project,
            node: &hook.node,
            values: &hook.values,
            prepare: &ctx.prepare,
        };
        describe(&build, step)
    }

    async fn step_inputs(
        &self,
        hook: &NodeHook,
        ctx: &RunContext,
        secret: &Secret,
        step: &Step,
    ) -> Result<Inputs, Reason> {
        let description = self.description(hook, ctx, step)?;
        inputs(ctx, secret, description).await.map_err(|error| error.to_string())
    }

    /// A build that goes on from what `provisioning` says.
    pub(crate) fn begin<'a>(
        &'a self,
        hook: &'a NodeHook,
        ctx: &'a RunContext,
        provisioning: &'a Provisioning,
    ) -> Keeping<'a> {
        let plan = self.plan.lock().clone();
        // Where somebody asks to try again, the machine is as the failure left it.
        let again = self.begun.swap(true, Relaxed);
        if again {
            self.held.store(0, Relaxed);
        }
        let stopped = again.then(|| "the provisioners were started again".to_owned());
        let keeping = Keeping { cache: self, hook, ctx, provisioning, plan, stopped };
        keeping.explain_what_is_off();
        keeping
    }
}

/// The key with the digits at its start that say whose it is.
fn owned(key: &StateKey, secret: &Secret) -> StateKey {
    let text = format!("{}{}", secret.owner(), &key.as_str()[OWNER_DIGITS..]);
    // Digits are put in the place of as many.
    text.parse().unwrap_or_else(|_| key.clone())
}

/// Keeps the states of a machine while its provisioners run.
pub(crate) struct Keeping<'a> {
    cache: &'a NodeCache,
    hook: &'a NodeHook,
    ctx: &'a RunContext,
    provisioning: &'a Provisioning,
    plan: Vec<StepPlan>,
    /// Why nothing is kept any more.
    stopped: Option<Reason>,
}

impl Keeping<'_> {
    /// Whether the step at `index` was run before, and its result comes from the cache.
    pub(crate) fn is_cached(&self, index: usize) -> bool {
        index < self.provisioning.done && index < self.provisioning.keys.len()
    }

    fn explain_what_is_off(&self) {
        if !self.cache.explains() || self.hook.node.provisioners.is_empty() {
            return;
        }
        if !self.cache.is_on() {
            self.ctx.ui.message("The step cache is off: -cache turns it on");
        } else if let Some(why) = self.cache.run.options.unasked(self.hook.cached_states()) {
            self.ctx.ui.message(format!("No step is cached: {why}"));
        } else if self.plan.is_empty() {
            let kept = self.hook.cached_states().and_then(|_| self.hook.keeper.kept_machine());
            self.ctx.ui.message(match kept {
                Some(_) => {
                    "No step is cached: the build goes on with a machine that was kept".to_owned()
                }
                None => format!(
                    "No step is cached: the builder `{}` keeps no states of its machine",
                    self.hook.node.ty
                ),
            });
        } else if let (0, Some(from)) = (self.provisioning.done, self.found_in()) {
            self.ctx.ui.message(format!(
                "Step cache: the state of the machine before its provisioners comes {from}"
            ));
        }
    }

    /// Reports a step whose result is in the cache already.
    pub(crate) async fn use_cached(&self, index: usize, info: StepInfo) {
        let running = self.ctx.ui.step(info);
        let shown = self.shown(index);
        self.ctx.ui.say(format!("Using cached state for {shown}"));
        running.end_as(StepOutcome::Skipped);
        let last = index + 1 == self.provisioning.done;
        // Those before it were not looked for.
        let from = self.found_in().filter(|_| last).unwrap_or_default();
        if !from.is_empty() && self.cache.explains() {
            self.ctx.ui.message(format!("Step cache: the state after {shown} comes {from}"));
        }
        self.tell(index, "cached", &from);
        self.cache.held.store(index + 1, Relaxed);
        if let (true, Some(StepPlan { state: Ok(_) }), Some((directory, _))) =
            (last, self.plan.get(index), &self.cache.run.open)
        {
            let keys = self.provisioning.keys[..self.provisioning.done].iter();
            let keys: Vec<&StateKey> = keys.collect();
            let now = OffsetDateTime::now_utc();
            let noted = directory.change(|index| {
                for key in &keys {
                    if let Some(state) = index.states.get_mut(key.as_str()) {
                        state.used = now;
                    }
                }
            });
            if let Err(error) = noted.await {
                tracing::warn!(%error, "cannot note that a state was used");
            }
        }
    }

    /// Where the state was that the machine started from.
    fn found_in(&self) -> Option<String> {
        self.provisioning.found_in.as_ref().map(|place| format!("from {place}"))
    }

    /// Keeps the state after the step at `index`, which ran.
    ///
    /// # Errors
    /// The build was cancelled.
    pub(crate) async fn keep(&mut self, index: usize, status: ProvisionerStatus) -> Result<()> {
        let planned = self.plan.get(index).map(|plan| plan.state.clone());
        let result = match (&self.stopped, planned) {
            (Some(_), Some(Ok(_))) => Err((AFTER.to_owned(), false)),
            (_, Some(Err(reason))) => Err((reason, false)),
            (None, Some(Ok(_))) if self.provisioning.key_after(index).is_none() => {
                Err(("the builder keeps no state of this machine".to_owned(), false))
            }
            (None, Some(Ok(state))) => match self.save(index, status, &state).await {
                Ok(()) => Ok(state),
                Err(error) if error.is_cancelled() => return Err(error),
                Err(error) => Err((error.to_string(), true)),
            },
            // Whoever asked for no keys keeps no states.
            (_, None) => return Ok(()),
        };
        match result {
            Ok(state) => {
                // Those before are held: otherwise none is kept after them.
                self.cache.held.store(index + 1, Relaxed);
                let changed = self.note(index, &state).await;
                if self.cache.explains() {
                    let shown = self.shown(index);
                    self.ctx.ui.message(format!("Step cache: {shown} was run and kept: {changed}"));
                }
                self.tell(index, "kept", &changed);
            }
            Err((reason, unexpected)) => {
                let shown = self.shown(index);
                if unexpected {
                    self.ctx.ui.say(format!("The state after {shown} is not kept: {reason}"));
                } else if self.cache.explains() {
                    self.ctx
                        .ui
                        .message(format!("Step cache: {shown} was run, not cached: {reason}"));
                }
                self.tell(index, if unexpected { "not-kept" } else { "not-cached" }, &reason);
                self.stopped.get_or_insert(reason);
            }
        }
        Ok(())
    }

    async fn save(
        &self,
        index: usize,
        status: ProvisionerStatus,
        state: &PlannedState,
    ) -> Result<()> {
        let why = match status {
            ProvisionerStatus::Succeeded => None,
            ProvisionerStatus::Retried => Some("it failed at first, which may have left something"),
            ProvisionerStatus::Tolerated => Some("it failed"),
        };
        if let Some(why) = why {
            return Err(ingot_sdk::Error::new(why));
        }
        let Some((key, snapshots)) =
            self.provisioning.key_after(index).zip(self.provisioning.snapshots.as_ref())
        else {
            return Err(ingot_sdk::Error::new("the builder does not keep it"));
        };
        let (_, secret) = self
            .cache
            .run
            .open
            .as_ref()
            .ok_or_else(|| ingot_sdk::Error::new("the step cache is off"))?;
        let step = &self.hook.node.provisioners[index];
        let now = self.cache.step_inputs(self.hook, self.ctx, secret, step).await;
        // The first of those that were planned is the state before.
        if now.is_ok_and(|now| now[..] == state.inputs[1..]) {
            return snapshots.save(self.ctx, key).await;
        }
        Err(ingot_sdk::Error::new("what it reads changed while it ran"))
    }

    /// Writes down that a state was kept. Says what is new about it.
    async fn note(&self, index: usize, state: &PlannedState) -> String {
        let now = OffsetDateTime::now_utc();
        let kept = CachedState {
            builder: self.hook.node.ty.clone(),
            template: self.cache.run.options.template.clone(),
            build: self.hook.node.name.clone(),
            step: self.shown(index),
            number: index + 1,
            created: now,
            used: now,
            inputs: state.inputs.clone(),
        };
        let Some((directory, _)) = &self.cache.run.open else { return String::new() };
        let mut changed = String::new();
        let noted = directory.change(|index| {
            changed = match index.last(&kept) {
                Some(last) => difference(&last.inputs, &kept.inputs),
                None => "there was no state of it".to_owned(),
            };
            index.states.insert(state.key.to_string(), kept);
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "cannot note that a state was kept");
        }
        changed
    }

    /// A step as people call it.
    fn shown(&self, index: usize) -> String {
        let steps = &self.hook.node.provisioners;
        let name = steps.get(index).map_or("", Step::shown_name);
        format!("{name} ({} of {})", index + 1, steps.len())
    }

    /// Tells programs what became of a step.
    fn tell(&self, index: usize, what: &str, why: &str) {
        let key = self.plan.get(index).and_then(|plan| plan.state.as_ref().ok());
        let key = key.map_or("", |state| state.key.as_str());
        let number = (index + 1).to_string();
        let name = self.hook.node.provisioners.get(index).map_or("", Step::shown_name);
        self.ctx.ui.machine("step-cache", &[&number, name, what, key, why]);
    }
}

/// What two lists of inputs differ in, for people. A file that is only elsewhere is the same.
fn difference(before: &Inputs, now: &Inputs) -> String {
    let has = |all: &Inputs, sought: &str| all.iter().any(|(_, hash)| hash == sought);
    let mut changed: Vec<&str> = Vec::new();
    for (name, hash) in now {
        if !has(before, hash) {
            changed.push(name);
        }
    }
    for (name, hash) in before {
        if !has(now, hash) && !now.iter().any(|(other, _)| other == name) {
            changed.push(name);
        }
    }
    changed.dedup();
    match changed.as_slice() {
        [] => "its state was gone".to_owned(),
        names => format!("changed: {}", names.join(", ")),
    }
}
