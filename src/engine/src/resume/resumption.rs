//! What a run goes on with, and what it keeps in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_sdk::{OnError, Ui};
use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::runtime::Handle;

use super::flags::ResumeFlags;
use super::inputs::Inputs;
use super::keeper::{Described, Keeper, Plan};
use super::planner::Planner;
use super::record::{Header, KeptRecord, Stage, recorded_template};
use crate::graph::Node;
use crate::inputs::NodeEvaluator;
use crate::journal::FileJournal;
use crate::orphaned_runs::shown_time;
use crate::prepare::PreparedNode;
use crate::project::{Project, Reproducible};

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
    pub(crate) fn keeper(
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
                template: recorded_template(&template),
                build: node.name.clone(),
                run: project.run_uuid.clone(),
                started: project.functions.start,
                along: along.clone(),
                fingerprint: fingerprint.clone(),
                hosted,
            };
            let reproducible = reproducible.get_or_init(|| project.reproducible());
            let evaluator = NodeEvaluator::new(&project, reproducible, &node, &values, &context);
            (header, Inputs::of(&evaluator, None))
        };
        let journal = journal.of_build(&build);
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
    let (goes_on, advice) = match flags.only_post_processors {
        true => (
            "post-processed",
            "What that made is not remembered: `-on-error=keep` has it remembered.",
        ),
        false => ("resumed", "`ingot cleanup -kept` removes what is kept."),
    };
    newest.retain(|name, record| match finished.get(name) {
        Some(&at) if at > record.build.kept_at => {
            ui.error(format!(
                "What is kept of '{name}' since {} is not {goes_on}: a build of it has finished \
                 since, at {}. {advice}",
                shown_time(record.build.kept_at),
                shown_time(at)
            ));
            false
        }
        _ => true,
    });
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
    if flags.resumes() || nodes.iter().any(|node| node.context.on_error == OnError::Keep) {
        planner.check_names(&nodes);
    }
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
            None if is_unmade(&node.name) && project.builder_facts(&node.ty).has_machine => {
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
        // Of builds that are not selected, or have another name now.
        let others: Vec<KeptRecord> = newest.into_values().collect();
        planner.diagnostics.push(nothing_kept(flags, &others));
    }
    (going, plans)
}

/// The error that nothing is kept to resume, but for `others`, which are of builds of other names.
pub fn nothing_kept(flags: &ResumeFlags, others: &[KeptRecord]) -> Diagnostic {
    let what = match flags.only_post_processors {
        true => "no artifact is kept",
        false => "nothing is kept",
    };
    if !others.is_empty() {
        let others = others.iter().map(|record| &record.build);
        let others: BTreeSet<String> =
            others.map(|build| format!("'{}' of {}", build.build, build.template)).collect();
        let others = others.into_iter().collect::<Vec<_>>().join(", ");
        return Diagnostic::error(format!("{what} of the builds that are selected"))
            .note(format!("what is kept is of {others}"))
            .help(
                "it goes on only by these names of its template and source; `ingot cleanup -kept` \
                 removes what is kept for -resume",
            );
    }
    match flags.only_post_processors {
        true => Diagnostic::error(format!("{what} for post-processors to run on")).help(
            "-on-error=keep keeps what the builder made, and so does -resume; build with it first",
        ),
        false => Diagnostic::error(format!("{what} of a build of this template"))
            .help("-on-error=keep keeps a build that fails; build without -resume, and with that"),
    }
}
