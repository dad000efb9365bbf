//! What a run goes on with: `-resume`, `-start-at`, `-stop-before` and `-only-post-processors`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, closest};
use ingot_sdk::{OnError, Ui};
use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::runtime::Handle;

use super::changes::Changes;
use super::inputs::{Inputs, Seen};
use super::keeper::{Described, Keeper, Plan, Resumed};
use super::record::{Header, KeptBuild, KeptRecord, Stage, same_path};
use crate::engine::journal::FileJournal;
use crate::engine::orphaned_runs::shown_time;
use crate::engine::prepare::PreparedNode;
use crate::engine::project::{Project, Reproducible};
use crate::graph::{Node, step_name};
use crate::template::steps::Step;

/// Builders that have no machine of their own, so that nothing has to be kept to begin anywhere.
const WITHOUT_MACHINE: &[&str] = &["null", "file"];

/// What the command line says about it.
#[derive(Debug, Clone, Default)]
pub struct ResumeFlags {
    /// `-resume`
    pub resume: bool,
    /// `-start-at`
    pub start_at: Option<String>,
    /// `-stop-before`
    pub stop_before: Option<String>,
    /// `-only-post-processors`
    pub only_post_processors: bool,
}

impl ResumeFlags {
    /// Whether the run goes on with what an earlier one kept.
    pub fn resumes(&self) -> bool {
        self.resume || self.only_post_processors
    }

    /// Whether the run can go on with `build`, as far as its stage tells.
    pub fn can_use(&self, build: &KeptBuild) -> bool {
        match self.only_post_processors {
            true => build.artifact.is_some(),
            false => build.stage != Stage::Built,
        }
    }
}

/// From where to where builds go, by their names.
#[derive(Default)]
pub struct Plans(BTreeMap<String, Plan>);

impl Plans {
    /// Whether the build called `name` skips something, or did in a run before.
    pub fn is_partial(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|plan| plan.partial)
    }
}

/// How a run keeps its builds.
pub struct KeepOptions {
    /// The template as the user named it.
    pub template: PathBuf,
    /// The fingerprint of the version that is published.
    pub fingerprint: Option<String>,
    plans: Mutex<Plans>,
    /// All builds of the run.
    builds: BTreeSet<String>,
    /// What is compared with other runs; evaluated once, when it is needed.
    reproducible: Arc<OnceLock<Reproducible>>,
}

impl KeepOptions {
    /// Keeps the builds of `template`, which go as `plans` says.
    pub fn new(template: PathBuf, fingerprint: Option<String>, plans: Plans) -> Self {
        let builds = plans.0.keys().cloned().collect();
        KeepOptions {
            template,
            fingerprint,
            plans: Mutex::new(plans),
            builds,
            reproducible: Arc::default(),
        }
    }

    /// What keeps one build.
    pub(in crate::engine) fn keeper(
        &self,
        project: &Arc<Project>,
        prepared: &PreparedNode,
        journal: &Arc<FileJournal>,
        ui: &Ui,
    ) -> Keeper {
        let (node, values) = (Arc::clone(&prepared.node), Arc::clone(&prepared.values));
        let plan = self.plans.lock().0.remove(&node.name).unwrap_or_default();
        let hosted = is_hosted(project, &node);
        let (project, template) = (Arc::clone(project), self.template.clone());
        let (context, reproducible) =
            (Arc::clone(&prepared.context), Arc::clone(&self.reproducible));
        let fingerprint = self.fingerprint.clone();
        let build = node.name.clone();
        // Of other runs, what is finished leaves no record.
        let along = match prepared.context.on_error {
            OnError::Keep => self.builds.clone(),
            _ => BTreeSet::new(),
        };
        let describe = move || {
            let header = Header {
                template: same_path(&template),
                build: node.name.clone(),
                run: project.run_uuid.clone(),
                started: project.functions.start,
                along: along.clone(),
                fingerprint: fingerprint.clone(),
                hosted,
            };
            let reproducible = reproducible.get_or_init(|| project.reproducible());
            let seen = Seen { project: &project, reproducible };
            (header, Inputs::of(&seen, &node, &values, &context, None))
        };
        let described = Described { build, hosted, describe: Box::new(describe) };
        Keeper::new(prepared.context.on_error, plan, described, &self.template, journal, ui)
    }
}

/// Whether the builder is a program of its own.
fn is_hosted(project: &Project, node: &Node) -> bool {
    project.plugins.builders.get(&node.ty).is_some_and(|builder| builder.schema().renders_itself)
}

/// Chooses what of `nodes` runs, and from where, and tells what changed since it was kept. What
/// keeps it from going on goes to `diagnostics`. `records` are those of the template, the oldest
/// first; `runtime` is what images are looked for on.
pub fn plan(
    project: &Project,
    nodes: Vec<PreparedNode>,
    flags: &ResumeFlags,
    records: Vec<KeptRecord>,
    (ui, runtime): (&Ui, &Handle),
    diagnostics: &mut Diagnostics,
) -> (Vec<PreparedNode>, Plans) {
    let mut newest: BTreeMap<String, KeptRecord> = BTreeMap::new();
    let mut finished: BTreeMap<String, OffsetDateTime> = BTreeMap::new();
    for record in records {
        if record.build.stage == Stage::Built {
            finished.insert(record.build.build.clone(), record.build.kept_at);
        }
        if flags.can_use(&record.build) {
            // The oldest come first.
            newest.insert(record.build.build.clone(), record);
        }
    }
    let mut plans = Plans::default();
    let mut going = Vec::new();
    if !flags.only_post_processors {
        newest.retain(|name, record| match finished.get(name) {
            Some(&at) if at > record.build.kept_at => {
                ui.error(format!(
                    "What is kept of '{name}' since {} is not gone on with: a build of it has \
                     finished since, at {}. `ingot cleanup -kept` removes what is kept.",
                    shown_time(record.build.kept_at),
                    shown_time(at)
                ));
                false
            }
            _ => true,
        });
    }
    // When the runs began that were to make a build.
    let mut begun: BTreeMap<String, OffsetDateTime> = BTreeMap::new();
    for record in newest.values().filter(|_| !flags.only_post_processors) {
        for name in &record.build.along {
            let started = record.build.started().unwrap_or(record.build.kept_at);
            let known = begun.entry(name.clone()).or_insert(started);
            *known = (*known).max(started);
        }
    }
    let is_unmade = |name: &str| {
        begun.get(name).is_some_and(|started| finished.get(name).is_none_or(|at| at < started))
    };
    let reproducible = flags.resumes().then(|| project.reproducible());
    let reproducible = reproducible.as_ref();
    let mut planner = Planner { project, reproducible, flags, ui, runtime, diagnostics };
    if let Some(name) = &flags.stop_before {
        planner.check_stop(name, &nodes);
    }
    for prepared in nodes {
        let node = Arc::clone(&prepared.node);
        let planned = match newest.remove(&node.name) {
            Some(record) if flags.resumes() => planner.resumed(&prepared, record),
            _ if !flags.resumes() => Some(Plan::default()),
            None if is_unmade(&node.name) && flags.start_at.is_none() => {
                ui.say(format!(
                    "'{}' was not finished by the run that was kept, and nothing is kept of it: it \
                     is built from its beginning.",
                    node.name
                ));
                Some(Plan::default())
            }
            None if is_unmade(&node.name) && !WITHOUT_MACHINE.contains(&&*node.ty) => {
                planner.diagnostics.push(
                    Diagnostic::error(format!(
                        "`{}` was not finished by the run that was kept, and nothing is kept of it",
                        node.name
                    ))
                    .at(node.header)
                    .help(
                        "without -start-at it is built from its beginning; -except leaves it out",
                    ),
                );
                None
            }
            _ => planner.without_record(&node),
        };
        let Some(mut plan) = planned else { continue };
        if let Some(name) = &flags.stop_before {
            plan.stop = planner.find(name, &node.provisioners).ok();
            if plan.stop.is_some_and(|stop| stop < plan.start) {
                planner.diagnostics.push(
                    Diagnostic::error(format!(
                        "-stop-before: `{name}` of `{}` has run on the kept machine already",
                        node.name
                    ))
                    .help("-start-at goes back to an earlier provisioner"),
                );
                continue;
            }
        }
        plans.0.insert(node.name.clone(), plan);
        going.push(prepared);
    }
    if going.is_empty() && flags.resumes() && !planner.diagnostics.has_errors() {
        planner.diagnostics.push(nothing_kept(flags));
    }
    (going, plans)
}

/// That there is nothing to go on with.
pub(crate) fn nothing_kept(flags: &ResumeFlags) -> Diagnostic {
    match flags.only_post_processors {
        true => Diagnostic::error("nothing is kept that post-processors could run over").help(
            "-on-error=keep keeps what the builder made, and so does -resume; build with it first",
        ),
        false => Diagnostic::error("nothing is kept of a build of this template")
            .help("-on-error=keep keeps a build that fails; build without -resume, and with that"),
    }
}

struct Planner<'a> {
    project: &'a Project,
    /// There where builds go on.
    reproducible: Option<&'a Reproducible>,
    flags: &'a ResumeFlags,
    ui: &'a Ui,
    runtime: &'a Handle,
    diagnostics: &'a mut Diagnostics,
}

impl Planner<'_> {
    /// The one provisioner that `name` means: by its name, else by its type.
    fn find(&self, name: &str, steps: &[Step]) -> Result<usize, Vec<usize>> {
        let all = |fits: &dyn Fn(&Step) -> bool| -> Vec<usize> {
            let found = steps.iter().enumerate().filter(|(_, step)| fits(step));
            found.map(|(index, _)| index).collect()
        };
        let named = all(&|step| step.name.as_deref() == Some(name));
        let found = match named.is_empty() {
            true => all(&|step| step.block.label(0) == name),
            false => named,
        };
        match found[..] {
            [index] => Ok(index),
            _ => Err(found),
        }
    }

    /// Reports that `name` does not mean one provisioner of a node; `found` are those it could mean.
    fn not_one(&mut self, flag: &str, name: &str, node: &Node, found: &[usize]) {
        let steps = &node.provisioners;
        let describe = |index: usize| {
            let step = &steps[index];
            let place = self.project.place(step.block.header);
            let place = format!("{}:{}:{}", place.file, place.line, place.column);
            let kind = step.block.label(0);
            match step_name(step) {
                own if own == kind => format!("{}: {kind} ({place})", index + 1),
                own => format!("{}: {kind} {own:?} ({place})", index + 1),
            }
        };
        if found.is_empty() {
            let names = || steps.iter().flat_map(|step| [step_name(step), step.block.label(0)]);
            let all: Vec<String> = (0..steps.len()).map(describe).collect();
            let error = Diagnostic::error(format!(
                "{flag}: `{}` has no provisioner called `{name}`",
                node.name
            ))
            .at(node.header);
            let error = match closest(name, names()) {
                Some(close) => error.help(format!("did you mean {flag}={close}?")),
                None => error,
            };
            self.diagnostics.push(error.note(match all.is_empty() {
                true => "it has none".to_owned(),
                false => format!("its provisioners:\n{}", all.join("\n")),
            }));
            return;
        }
        let all: Vec<String> = found.iter().map(|&index| describe(index)).collect();
        self.diagnostics.push(
            Diagnostic::error(format!(
                "{flag}: `{name}` can be {} provisioners of `{}`",
                found.len(),
                node.name
            ))
            .at(node.header)
            .note(all.join("\n"))
            .help("give the one that is meant a `name`, and use that"),
        );
    }

    /// Reports that `-stop-before` names nothing, or more than one thing.
    fn check_stop(&mut self, name: &str, nodes: &[PreparedNode]) {
        let mut nowhere = None;
        let mut somewhere = false;
        for prepared in nodes {
            match self.find(name, &prepared.node.provisioners) {
                Ok(_) => somewhere = true,
                Err(found) if found.is_empty() => {
                    nowhere.get_or_insert(&prepared.node);
                }
                Err(found) => {
                    somewhere = true;
                    self.not_one("-stop-before", name, &prepared.node, &found);
                }
            }
        }
        if let (Some(node), false) = (nowhere, somewhere) {
            self.not_one("-stop-before", name, node, &[]);
        }
    }

    /// A build of which nothing is kept.
    fn without_record(&mut self, node: &Node) -> Option<Plan> {
        let name = &node.name;
        if let (Some(start), false) = (&self.flags.start_at, self.flags.only_post_processors)
            && WITHOUT_MACHINE.contains(&&*node.ty)
        {
            let start = start.clone();
            let start = self.start_at(&start, node)?;
            return Some(Plan { start, partial: start > 0, ..Plan::default() });
        }
        self.ui.say(format!("Nothing is kept of '{name}': it is not built."));
        None
    }

    fn start_at(&mut self, name: &str, node: &Node) -> Option<usize> {
        match self.find(name, &node.provisioners) {
            Ok(index) => Some(index),
            Err(found) => {
                self.not_one("-start-at", name, node, &found);
                None
            }
        }
    }

    /// A build that goes on; none if it must not, which is reported.
    fn resumed(&mut self, prepared: &PreparedNode, record: KeptRecord) -> Option<Plan> {
        let node = &prepared.node;
        let name = &node.name;
        let failed = |error: &dyn std::fmt::Display| {
            Diagnostic::error(format!("`{name}` cannot go on: {error}")).at(node.header)
        };
        let lock = match record.lock() {
            Ok(Some(lock)) => lock,
            Ok(None) => {
                self.diagnostics.push(
                    failed(&"another run is going on with it")
                        .help("wait for that run to end, or stop it"),
                );
                return None;
            }
            Err(error) => {
                self.diagnostics.push(failed(&error));
                return None;
            }
        };
        let Some(record) = record.reread() else {
            self.diagnostics.push(failed(&"another run has just finished it"));
            return None;
        };
        let seen = Seen { project: self.project, reproducible: self.reproducible? };
        let salt = Some(record.build.inputs.salt.as_str());
        let now = Inputs::of(&seen, node, &prepared.values, &prepared.context, salt);
        let changes = Changes::between(&record.build.inputs, &now);
        let artifact_only =
            self.flags.only_post_processors || record.build.stage == Stage::PostProcessing;
        let start = match artifact_only {
            true => self.post_processing(node, &record.build, &changes)?,
            false => self.provisioning(node, &record.build, &changes)?,
        };
        self.tell(node, &record.build, &changes, start, artifact_only);
        let restored = match artifact_only {
            true => record.build.artifact.as_ref(),
            false => None,
        };
        let owned = record.build.owns_artifact;
        let restored = restored
            .map(|artifact| self.runtime.block_on(artifact.restore(&self.project.plugins, owned)));
        let artifact = restored.transpose();
        let read = artifact.and_then(|artifact| {
            let machine = if artifact_only { None } else { record.machine()? };
            Ok((artifact, machine, record.sboms()?))
        });
        let (artifact, machine, sboms) = match read {
            Ok(read) => read,
            Err(error) => {
                let advice = error.advice().map(str::to_owned);
                let diagnostic = failed(&error);
                self.diagnostics.push(match advice {
                    Some(advice) => diagnostic.help(advice),
                    None => diagnostic,
                });
                return None;
            }
        };
        let partial = record.build.partial
            || self.flags.only_post_processors
            || self.flags.start_at.is_some();
        let resumed = Resumed { record, lock, machine, sboms, artifact };
        Some(Plan { start, stop: None, partial, resumed: Some(resumed) })
    }

    /// Reports what keeps post-processors from running over what was made.
    fn post_processing(
        &mut self,
        node: &Node,
        kept: &KeptBuild,
        changes: &Changes,
    ) -> Option<usize> {
        let done = kept.done.min(node.provisioners.len());
        if self.flags.only_post_processors {
            return Some(done);
        }
        let name = &node.name;
        let refused = |what: String| {
            Diagnostic::error(format!("`{name}` cannot go on: {what}")).at(node.header).help(
                "-only-post-processors runs them over what there is; without -resume it is built \
                     anew",
            )
        };
        if self.flags.start_at.is_some() {
            self.diagnostics.push(refused(
                "its provisioners are done and its machine is gone; only its post-processors are \
                 left to run"
                    .to_owned(),
            ));
            return None;
        }
        if let Some(other) = changes.made_with() {
            self.diagnostics.push(refused(format!("it was made with {other}")));
            return None;
        }
        if let Some(index) = changes.first_provisioner {
            let what = format!("provisioner {} is not what it was when it ran", index + 1);
            let mut error = refused(what);
            if let Some(step) = node.provisioners.get(index) {
                error = error.also(step.block.header, "this one");
            }
            self.diagnostics.push(error);
            return None;
        }
        Some(done)
    }

    /// Where provisioning goes on. Reports what keeps it from that.
    fn provisioning(&mut self, node: &Node, kept: &KeptBuild, changes: &Changes) -> Option<usize> {
        let name = &node.name;
        let refused = |what: String| {
            Diagnostic::error(format!("`{name}` cannot go on: {what}")).at(node.header)
        };
        if kept.hosted {
            self.diagnostics.push(
                refused(format!(
                    "`{}` is a plugin's program, and Packer's plugin protocol has no way back to a \
                     machine",
                    node.ty
                ))
                .help("remove what it left by hand, and build without -resume"),
            );
            return None;
        }
        if kept.machine.is_none() && !kept.left.is_empty() {
            self.diagnostics.push(
                refused("it had no machine to provision when it failed".to_owned())
                    .note(kept.reason.clone())
                    .help("`ingot cleanup -kept` removes what is left; then build without -resume"),
            );
            return None;
        }
        if let Some(other) = changes.made_with().filter(|_| kept.machine.is_some()) {
            self.diagnostics.push(
                refused(format!("its machine was made with {other}"))
                    .note("changed: ".to_owned() + &changes.lines.join("\n"))
                    .help(
                        "change them back, or remove the machine with `ingot cleanup -kept` and \
                         build without -resume",
                    ),
            );
            return None;
        }
        let all = node.provisioners.len();
        if let Some(start) = self.flags.start_at.clone() {
            return self.start_at(&start, node);
        }
        match changes.first_provisioner.filter(|&index| index < kept.done) {
            None => Some(kept.done.min(all)),
            Some(index) => {
                let step = node.provisioners.get(index);
                let what = format!(
                    "provisioner {} has run on its machine, and is not what it was",
                    index + 1
                );
                let mut error = refused(what);
                let changed = changes.lines.join("\n");
                error = error.note(format!("changed since:\n{changed}"));
                if let Some(step) = step {
                    error = error.also(step.block.header, "this one");
                    let own = step_name(step);
                    let again = match self.find(own, &node.provisioners) {
                        Ok(_) => format!("-start-at={own}"),
                        Err(_) => "-start-at, with a `name` that you give it,".to_owned(),
                    };
                    error = error.help(format!(
                        "{again} runs it and all after it on the machine as it is, and \
                         `ingot cleanup -kept` removes the machine, to build anew without -resume"
                    ));
                } else {
                    error = error.help(
                        "put it back, or remove the machine with `ingot cleanup -kept` and build \
                         without -resume",
                    );
                }
                self.diagnostics.push(error);
                None
            }
        }
    }

    /// Tells what goes on, and what changed since.
    fn tell(
        &self,
        node: &Node,
        kept: &KeptBuild,
        changes: &Changes,
        start: usize,
        artifact_only: bool,
    ) {
        let name = &node.name;
        let since = shown_time(kept.kept_at);
        let steps = &node.provisioners;
        let called = |step: &Step| {
            let kind = step.block.label(0);
            let own = step_name(step);
            match own == kind {
                true => kind.to_owned(),
                false => format!("{kind} {own:?}"),
            }
        };
        let what = if artifact_only {
            let made = kept.artifact.as_ref().map_or("", |artifact| artifact.description());
            format!("runs its post-processors over what was made before: {made}")
        } else {
            match steps.get(start) {
                Some(step) => {
                    let shown = called(step);
                    let place = self.project.place(step.block.header);
                    format!(
                        "goes on at provisioner {} of {}, {shown} ({}:{}:{})",
                        start + 1,
                        steps.len(),
                        place.file,
                        place.line,
                        place.column
                    )
                }
                None if steps.is_empty() => "goes on".to_owned(),
                None => "goes on after its provisioners".to_owned(),
            }
        };
        self.ui.say(format!("'{name}', kept at {since}, {what}."));
        let skipped = steps.iter().enumerate().take(start).skip(kept.done);
        let skipped = skipped.filter(|_| !artifact_only);
        let skipped: Vec<String> = skipped
            .map(|(index, step)| format!("  provisioner {}, {}", index + 1, called(step)))
            .collect();
        if !skipped.is_empty() {
            self.ui.error(format!(
                "Warning: -start-at skips what has not succeeded on its machine:\n{}",
                skipped.join("\n")
            ));
        }
        if changes.lines.is_empty() {
            return;
        }
        let lines: Vec<String> = changes.lines.iter().map(|line| format!("  {line}")).collect();
        self.ui.say(format!("Changed since then:\n{}", lines.join("\n")));
    }
}
