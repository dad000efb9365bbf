//! Finds what one build goes on with, and from where.

use std::collections::BTreeSet;

use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, closest};
use ingot_sdk::Ui;
use ingot_template::steps::Step;
use tokio::runtime::Handle;

use super::changes::Changes;
use super::flags::ResumeFlags;
use super::inputs::Inputs;
use super::keeper::{Plan, Resumed};
use super::record::{KeptBuild, KeptRecord, Stage};
use crate::graph::Node;
use crate::inputs::NodeEvaluator;
use crate::orphaned_runs::shown_time;
use crate::prepare::PreparedNode;
use crate::project::{Project, Reproducible};

/// What the builds of a run are planned with.
pub(super) struct Planner<'a> {
    pub project: &'a Project,
    /// There where builds go on.
    pub reproducible: Option<&'a Reproducible>,
    pub flags: &'a ResumeFlags,
    pub ui: &'a Ui,
    pub runtime: &'a Handle,
    pub diagnostics: &'a mut Diagnostics,
}

impl Planner<'_> {
    /// The one provisioner that `name` means: by its name, else by its type.
    pub(super) fn find(&self, name: &str, steps: &[Step]) -> Result<usize, Vec<usize>> {
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
            match step.shown_name() {
                own if own == kind => format!("{}: {kind} ({place})", index + 1),
                own => format!("{}: {kind} {own:?} ({place})", index + 1),
            }
        };
        if found.is_empty() {
            let names = || steps.iter().flat_map(|step| [step.shown_name(), step.block.label(0)]);
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
    pub(super) fn check_stop(&mut self, name: &str, nodes: &[PreparedNode]) {
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

    /// Reports builds that have one name: what is kept of one would be taken for the other's.
    pub(super) fn check_names(&mut self, nodes: &[PreparedNode]) {
        let flag = match (&self.flags.stop_before, self.flags.resume) {
            _ if self.flags.only_post_processors => "-only-post-processors",
            (_, true) => "-resume",
            (Some(_), false) => "-stop-before",
            (None, false) => "-on-error=keep",
        };
        let mut names = BTreeSet::new();
        for node in nodes.iter().map(|prepared| &prepared.node) {
            if !names.insert(&node.name) {
                self.diagnostics.push(
                    Diagnostic::error(format!(
                        "{flag} cannot tell two builds called `{}` apart",
                        node.name
                    ))
                    .at(node.header)
                    .help("give the build block or an inline source a name of its own"),
                );
            }
        }
    }

    /// A build of which nothing is kept.
    pub(super) fn without_record(&mut self, node: &Node) -> Option<Plan> {
        let name = &node.name;
        if let (Some(start), false) = (&self.flags.start_at, self.flags.only_post_processors)
            && !self.project.builder_facts(&node.ty).has_machine
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
    pub(super) fn resumed(&mut self, prepared: &PreparedNode, record: KeptRecord) -> Option<Plan> {
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
        if let Some(machine) = record.build.elsewhere()
            && record.build.needs_host(&self.project.plugins)
        {
            self.diagnostics.push(failed(&format!("what is kept of it is on {machine}")).help(
                "resume it there; or remove it there with `ingot cleanup -kept`, and build without \
                 -resume",
            ));
            return None;
        }
        let artifact_only =
            self.flags.only_post_processors || record.build.stage == Stage::PostProcessing;
        let changes = if record.build.is_comparable() {
            let (project, reproducible) = (self.project, self.reproducible?);
            let (values, context) = (&prepared.values, &prepared.context);
            let evaluator = NodeEvaluator::new(project, reproducible, node, values, context);
            let now = Inputs::of(&evaluator, Some(record.build.inputs.salt.as_str()));
            Changes::between(&record.build.inputs, &now)
        } else if self.flags.only_post_processors {
            // They run on what was made, whatever changed.
            Changes::default()
        } else {
            let help = "`ingot cleanup -kept` removes what is kept; then build without -resume";
            let error = failed(
                &"another version of Ingot kept it, so what changed since then cannot be compared",
            );
            self.diagnostics.push(match artifact_only {
                true => error.help(format!(
                    "-only-post-processors runs the post-processors on the artifact; or {help}"
                )),
                false => error.help(help),
            });
            return None;
        };
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
                "-only-post-processors runs them on the artifact; without -resume the build starts \
                     over",
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
                    .note(format!("changed: {}", changes.lines.join("\n")))
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
                    let own = step.shown_name();
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
            let own = step.shown_name();
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
