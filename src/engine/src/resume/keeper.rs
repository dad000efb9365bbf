//! Keeps one build: knows from where it goes on, and writes down how far it got.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::file_lock::FileLock;
use ingot_sdk::{Artifact, Error, Journal, OnError, Resource, Result, Sbom, Ui};
use parking_lot::Mutex;
use serde_json::Value;
use time::OffsetDateTime;

use super::advice::{how_to_go_on, not_recorded};
use super::artifact::RecordedArtifact;
use super::inputs::Inputs;
use super::record::{Header, KeptBuild, KeptRecord, Stage, list, recorded_template};
use crate::journal::BuildJournal;

/// From here on count the records of what an earlier run left and a kept build's record stands for.
pub(super) const ADOPTED: u64 = 1 << 40;

/// What a run goes on with.
pub(super) struct Resumed {
    pub record: KeptRecord,
    /// Held as long as the run works on it.
    pub lock: FileLock,
    /// What the builder needs, with its secrets.
    pub machine: Option<Value>,
    /// SBOMs that were taken before.
    pub sboms: Vec<Sbom>,
    /// What the builder made, if only post-processors run.
    pub artifact: Option<Arc<dyn Artifact>>,
}

/// From where to where one build goes.
#[derive(Default)]
pub(super) struct Plan {
    /// The first provisioner to run.
    pub start: usize,
    /// The provisioner before which it stops.
    pub stop: Option<usize>,
    /// Whether something is skipped, now or in a run before, so that nobody can say what the build is
    /// made of.
    pub partial: bool,
    pub resumed: Option<Resumed>,
}

/// How one build is kept.
pub(crate) struct Keeper {
    /// Whether a failure leaves what `-resume` needs.
    keeps: bool,
    /// Whether a plugin's program builds.
    hosted: bool,
    /// The build's name.
    build: String,
    /// The template as the user named it.
    template: PathBuf,
    journal: Arc<BuildJournal>,
    ui: Ui,
    start: usize,
    stop: Option<usize>,
    kept_machine: Option<Value>,
    artifact: Option<Arc<dyn Artifact>>,
    /// Whether that is the user's, whom an earlier build gave it.
    artifact_is_users: bool,
    _lock: Option<FileLock>,
    describe: Describe,
    state: Mutex<State>,
}

/// What a record of the build begins with.
pub(super) type Describe = Box<dyn Fn() -> (Header, Inputs) + Send + Sync>;

/// Which build it is.
pub(super) struct Described {
    /// Its name.
    pub build: String,
    /// Whether a plugin's program builds.
    pub hosted: bool,
    pub describe: Describe,
}

struct State {
    /// What is or will be written down; none where nothing can be.
    build: Option<KeptBuild>,
    /// On disk.
    record: Option<KeptRecord>,
    machine: Option<Value>,
    sboms: Vec<Sbom>,
    done: usize,
    /// Whether the machine was there for provisioners in this run.
    provisioning: bool,
    /// The provisioner before which the build stopped, as it was asked to.
    stopped: Option<String>,
    /// What it was not kept for.
    lost: Option<String>,
    adopted: Vec<Option<Resource>>,
}

/// The messages about a build that is kept or was stopped.
pub(crate) struct EndMessages {
    /// In place of a failure.
    pub stopped: Option<String>,
    /// What is there for later.
    pub kept: Option<String>,
}

impl Keeper {
    /// For the build that `described` describes.
    pub(super) fn new(
        on_error: OnError,
        plan: Plan,
        described: Described,
        template: &Path,
        journal: Arc<BuildJournal>,
        ui: &Ui,
    ) -> Keeper {
        let Plan { start, stop, partial, resumed } = plan;
        let Described { build: name, hosted, describe } = described;
        // At the start: the files may change while it runs.
        let begins = on_error == OnError::Keep || resumed.is_some();
        let mut build =
            begins.then(&describe).map(|(header, inputs)| KeptBuild::new(header, inputs));
        if let Some(build) = &mut build {
            build.partial = partial;
        }
        let mut state = State {
            build: None,
            record: None,
            machine: None,
            sboms: Vec::new(),
            done: start,
            provisioning: false,
            stopped: None,
            lost: None,
            adopted: Vec::new(),
        };
        let (mut kept_machine, mut artifact, mut lock) = (None, None, None);
        let mut artifact_is_users = false;
        if let Some(mut resumed) = resumed {
            if let Some(build) = &mut build {
                if resumed.artifact.is_none() {
                    resumed.record.build.partial = partial;
                    // What runs from here on is made of what there is now, should this run be killed.
                    resumed.record.build.inputs = build.inputs.clone();
                    save(&resumed.record);
                }
                build.left.clone_from(&resumed.record.build.left);
                build.stage = resumed.record.build.stage;
                build.artifact.clone_from(&resumed.record.build.artifact);
                build.owns_artifact = resumed.record.build.owns_artifact;
                build.along.extend(resumed.record.build.along.iter().cloned());
                // What later runs see as the time of the first.
                build.started = resumed.record.build.started;
            }
            artifact_is_users = resumed.artifact.is_some() && !resumed.record.build.owns_artifact;
            state.record = Some(resumed.record);
            state.machine.clone_from(&resumed.machine);
            state.sboms = resumed.sboms;
            (kept_machine, artifact) = (resumed.machine, resumed.artifact);
            lock = Some(resumed.lock);
        }
        state.build = build;
        let keeper = Keeper {
            keeps: on_error == OnError::Keep,
            hosted,
            build: name,
            template: template.to_owned(),
            journal,
            ui: ui.clone(),
            start,
            stop,
            kept_machine,
            artifact,
            artifact_is_users,
            _lock: lock,
            describe,
            state: Mutex::new(state),
        };
        keeper.came_to(start);
        keeper
    }

    /// The first provisioner to run.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The SBOMs that provisioners of earlier runs took.
    pub(crate) fn sboms(&self) -> Vec<Sbom> {
        self.state.lock().sboms.clone()
    }

    /// What post-processors are to run over, in the place of building.
    pub(crate) fn artifact(&self) -> Option<Arc<dyn Artifact>> {
        self.artifact.clone()
    }

    /// Whether [`Keeper::artifact`] is the user's, whom an earlier build gave it: then it stays,
    /// whatever comes of this run.
    pub(crate) fn artifact_is_users(&self) -> bool {
        self.artifact_is_users
    }

    /// What the builder wrote down of its machine.
    pub(crate) fn kept_machine(&self) -> Option<Value> {
        self.kept_machine.clone()
    }

    /// The provisioner before which the build stops.
    pub(crate) fn stop_index(&self) -> Option<usize> {
        self.stop
    }

    /// Whether the build stops before the provisioner at `index`.
    pub(crate) fn stops_before(&self, index: usize) -> bool {
        self.stop == Some(index)
    }

    /// It stops there, as it was asked to.
    pub(crate) fn stop(&self, step: &str) {
        self.state.lock().stopped = Some(step.to_owned());
    }

    /// The provisioners before the one at `done` have run.
    pub(crate) fn provisioned(&self, done: usize) {
        self.state.lock().provisioning = true;
        self.came_to(done);
    }

    fn came_to(&self, done: usize) {
        let state = &mut *self.state.lock();
        state.done = done;
        if let Some(record) = state.record.as_mut().filter(|record| record.build.done != done) {
            record.build.done = done;
            save(record);
        }
    }

    /// An SBOM was taken.
    pub(crate) fn took(&self, sbom: &Sbom) {
        self.state.lock().sboms.push(sbom.clone());
    }

    /// What the builder's machine is found by.
    pub(crate) fn keep_machine(&self, machine: Value) {
        self.state.lock().machine = Some(machine);
    }

    /// The build's journal, without what an earlier run left.
    pub(super) fn own_journal(&self) -> &Arc<BuildJournal> {
        &self.journal
    }

    /// Whether records of this build are written, or one of an earlier run is there.
    pub(super) fn has_records(&self) -> bool {
        self.keeps || self.state.lock().record.is_some()
    }

    /// The builder failed, or one of its provisioners.
    pub(crate) fn failed(&self, error: &Error) {
        let reason = self.reason(error);
        let state = &mut *self.state.lock();
        if let Some(build) = &mut state.build {
            build.reason = reason;
        }
        let kept = state.record.is_some();
        if self.keeps || kept {
            self.write_or_report(state);
        }
        if !self.keeps {
            self.forget_if_empty(state);
        }
    }

    fn reason(&self, error: &Error) -> String {
        self.ui.masked(&error.to_string()).chars().take(2000).collect()
    }

    /// The run was stopped before the build began.
    pub(crate) fn never_began(&self) {
        if self.keeps {
            self.failed(&Error::Cancelled);
        }
    }

    /// A post-processor failed. Whether `built` is to be left, which otherwise goes.
    pub(crate) fn leaves(&self, built: &dyn Artifact, stays: bool, error: &Error) -> bool {
        let stays = stays || self.artifact_is_users;
        let leaves = self.keeps || stays;
        if !leaves {
            return false;
        }
        let artifact = RecordedArtifact::of(built, self.hosted);
        let reason = self.reason(error);
        let state = &mut *self.state.lock();
        if state.build.is_none() {
            let (header, inputs) = (self.describe)();
            state.build = Some(KeptBuild::new(header, inputs));
        }
        if let Some(build) = &mut state.build {
            let had = build.artifact.is_some();
            build.stage = Stage::PostProcessing;
            build.reason = reason;
            build.artifact = Some(artifact);
            // What a run before left to the user stays the user's.
            build.owns_artifact = if had { build.owns_artifact && !stays } else { !stays };
            state.machine = None;
        }
        self.write_or_report(state);
        true
    }

    /// All went well. `built` is what the builder made, if that stays.
    pub(crate) fn succeeded(&self, built: Option<&dyn Artifact>) {
        let state = &mut *self.state.lock();
        if state.build.is_none() && self.has_older() {
            // What is kept or remembered of it is out of date now: post-processors run on this.
            let (header, inputs) = (self.describe)();
            state.build = Some(KeptBuild::new(header, inputs));
        }
        let Some(build) = &mut state.build else { return };
        build.artifact = built.map(|built| RecordedArtifact::of(built, self.hosted));
        build.owns_artifact = false;
        build.stage = Stage::Built;
        build.reason = String::new();
        state.machine = None;
        if let Err(error) = self.write(state) {
            tracing::warn!(%error, "it cannot be written down that a build was finished");
        }
    }

    /// Whether an earlier run of the build is kept, or what it made is remembered.
    fn has_older(&self) -> bool {
        let template = recorded_template(&self.template);
        let kept = |record: &KeptRecord| {
            let build = &record.build;
            let holds = build.stage != Stage::Built || build.artifact.is_some();
            build.template == template && build.build == self.build && holds
        };
        list().iter().any(kept)
    }

    /// The messages for the end of the run; whether what is built is `tested`.
    pub(crate) fn end_messages(&self, tested: bool) -> EndMessages {
        let state = self.state.lock();
        let stopped = state.stopped.clone();
        let template = self.template.display();
        let kept = match (&state.lost, &state.record) {
            (Some(lost), record) => {
                let is_left = !self.journal.left().is_empty();
                let (build, record) = (state.build.as_ref(), record.as_ref());
                Some(not_recorded(lost, build, record.map(|record| &record.build), is_left))
            }
            (None, Some(record))
                if record.build.stage == Stage::Building
                    && self.kept_machine.is_some()
                    && !state.provisioning =>
            {
                Some(format!(
                    "It did not come to its provisioners. The record of what was kept before is \
                     still there: `ingot build -resume {template}` tries again, and `ingot cleanup \
                     -kept` removes it and what is left."
                ))
            }
            (None, Some(record)) if record.build.stage != Stage::Built => {
                Some(how_to_go_on(&record.build, &template.to_string(), self.hosted, tested))
            }
            _ => None,
        };
        EndMessages { stopped, kept }
    }

    fn write_or_report(&self, state: &mut State) {
        match self.write(state) {
            Ok(()) => state.lost = None,
            Err(error) => {
                let advice = error.advice().map(|advice| format!(" ({advice})"));
                state.lost = Some(format!("{error}{}", advice.unwrap_or_default()));
            }
        }
    }

    /// Writes down the build as it is now.
    fn write(&self, state: &mut State) -> Result<()> {
        let Some(build) = &mut state.build else { return Ok(()) };
        let mut machine = state.machine.clone();
        let secrets = machine.as_mut().and_then(Value::as_object_mut);
        let secrets = secrets.and_then(|machine| machine.remove("secrets"));
        build.machine = machine;
        build.done = state.done;
        build.kept_at = OffsetDateTime::now_utc();
        let mut next = build.clone();
        let left = match build.stage {
            // That stays in the journal.
            Stage::Built => Vec::new(),
            _ => self.journal.left(),
        };
        for resource in left {
            next.left.retain(|known| !is_same(known, &resource));
            next.left.insert(0, resource);
        }
        match &mut state.record {
            Some(record) => {
                let before = std::mem::replace(&mut record.build, next);
                record
                    .update(secrets.as_ref(), &state.sboms)
                    .inspect_err(|_| record.build = before)?;
            }
            None => {
                let record = KeptRecord::create(next, secrets.as_ref(), &state.sboms)?;
                forget_older(&record);
                state.record = Some(record);
            }
        }
        Ok(())
    }

    /// Removes the record if nothing is left that it is needed for.
    fn forget_if_empty(&self, state: &mut State) {
        let left = state.build.as_ref().is_some_and(KeptBuild::holds_something);
        let Some(record) = state.record.take_if(|_| !left) else { return };
        if let Err(error) = record.remove() {
            tracing::warn!(%error, "a record of a kept build cannot be removed");
        }
    }

    /// The record of `resource` if it was left before.
    pub(super) fn adopt(&self, resource: &Resource) -> Option<u64> {
        let state = &mut *self.state.lock();
        let build = state.build.as_ref()?;
        let known = build.left.iter().find(|known| is_same(known, resource))?;
        state.adopted.push(Some(known.clone()));
        Some(ADOPTED + state.adopted.len() as u64 - 1)
    }

    /// What was left before is gone, or somebody's.
    pub(super) fn resolve(&self, record: u64) {
        let state = &mut *self.state.lock();
        let index = usize::try_from(record - ADOPTED).unwrap_or(usize::MAX);
        let Some(gone) = state.adopted.get_mut(index).and_then(Option::take) else { return };
        // Another record may be of the same thing.
        if state.adopted.iter().flatten().any(|other| is_same(other, &gone)) {
            return;
        }
        if let Some(build) = &mut state.build {
            build.left.retain(|known| !is_same(known, &gone));
        }
        if let Some(record) = &mut state.record {
            record.build.left.retain(|known| !is_same(known, &gone));
            save(record);
        }
    }

    /// Writes down what is left of the build, which its journal `inner` then need not know any more.
    pub(super) fn release(&self, inner: &dyn Journal) {
        let state = &mut *self.state.lock();
        self.write_or_report(state);
        // Else it stays in the journal, so that it is not forgotten.
        if state.lost.is_none() {
            inner.release();
            if let (Some(build), Some(record)) = (&mut state.build, &state.record) {
                build.left.clone_from(&record.build.left);
            }
        }
    }
}

/// Two records are of one thing.
fn is_same(one: &Resource, other: &Resource) -> bool {
    (&one.kind, &one.id) == (&other.kind, &other.id)
}

/// Writes a record that changed. One that cannot be written says less than is true: at worst a
/// provisioner runs again, or something is looked for that is gone.
fn save(record: &KeptRecord) {
    if let Err(error) = record.write() {
        tracing::warn!(%error, "a record of a kept build cannot be written");
    }
}

/// Removes older records of the same build that hold nothing.
fn forget_older(new: &KeptRecord) {
    for old in list() {
        let same =
            (&old.build.template, &old.build.build) == (&new.build.template, &new.build.build);
        if same && !old.build.holds_something() && old.build.kept_at <= new.build.kept_at
            && old.is_not(new)
            // A run may be at work on it.
            && matches!(old.lock(), Ok(Some(_)))
        {
            let _ = old.remove();
        }
    }
}
