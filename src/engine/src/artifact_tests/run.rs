//! Checks test blocks, and runs them on what a build made.

use std::sync::Arc;
use std::time::Duration;

use ingot_hcl::Unknowns;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_sdk::{
    Artifact, Config, Context as _, Error, GoDuration, OnError, OptionValue, PrepareContext,
    Result, RunContext, StepInfo, StepKind, TestMachine, TestRun, TestSubject,
};
use ingot_template::companion::{TestBlock, TestCheck};
use ingot_template::dynamic::Part;
use ingot_template::option_place::config_errors;
use ingot_template::options::{self, BlockOptions};

use super::hook::TestHook;
use crate::blocks::prepare_config;
use crate::graph::Node;
use crate::hook::NodeHook;
use crate::prepare::source_names;
use crate::project::Project;

/// How long a machine that is tested may take to go after the time for its tests is over.
const STOP_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// What can be tested, for people.
const TESTABLE: &str = "what docker (with commit = true), qemu and amazon-ebs make can be tested";

/// Judges whether the tests of a node can run; reports what stands against it.
pub(crate) fn check(project: &Project, node: &Node, diagnostics: &mut Diagnostics) {
    let tests: Vec<&TestBlock> = project.companion.tests_of(&node.component).collect();
    if tests.is_empty() {
        return;
    }
    let Some(machine) = project.plugins.test_machines.get(&node.ty) else {
        // An unknown builder was reported.
        if !project.plugins.builders.contains_key(&node.ty) {
            return;
        }
        for test in tests {
            diagnostics.push(
                Diagnostic::error(format!("`{}` cannot be tested", node.component))
                    .at(test.header)
                    .label(format!("nothing runs what the builder `{}` makes", node.ty))
                    .help(format!("{TESTABLE}; name such sources: only = […]")),
            );
        }
        return;
    };
    let mut found = Diagnostics::default();
    let Some(config) = source_config(project, node, Unknowns::Allow, &mut found) else { return };
    let terminal = has_terminal(project, node, &config);
    for test in tests {
        let lost = |check: &&TestCheck| terminal && check.check.tells_stderr();
        for check in test.checks.iter().filter(lost) {
            diagnostics.push(
                Diagnostic::error("`stderr` cannot be checked behind a terminal")
                    .at(check.header)
                    .label(format!("`{}` has ssh_pty = true", node.component))
                    .help("check `stdout`, where all output comes then, or remove `ssh_pty`"),
            );
        }
        let Err(errors) = machine.check(&config, test.run.as_ref()) else { continue };
        let decided = errors.0.into_iter().filter(|error| !error.is_undecided(&config));
        let parts: Vec<&Part> = node.parts.iter().collect();
        let header = test.run_place.unwrap_or(test.header);
        let given = BlockOptions { parts: &parts, overrides: None, header };
        let mut wrong = Diagnostics::default();
        config_errors(decided.collect(), given, &mut wrong);
        let tested = format!("test {:?} is for `{}`", test.name, node.component);
        diagnostics.extend(wrong.into_iter().map(|one| match one.span == Some(test.header) {
            true => one,
            false => one.also(test.header, &tested),
        }));
    }
}

/// Whether commands on the machine run with a terminal, where all output comes as one.
fn has_terminal(project: &Project, node: &Node, config: &Config) -> bool {
    let communicator = config.get("communicator").and_then(OptionValue::as_str).unwrap_or_default();
    let own = project.builder_facts(&node.ty).own_communicator;
    let ssh = !own && ["", "ssh"].contains(&communicator);
    ssh && config.get("ssh_pty").and_then(OptionValue::as_bool) == Some(true)
}

/// The options of a node's source, before `{{ }}` in them are rendered; none if something is wrong.
fn source_config(
    project: &Project,
    node: &Node,
    unknowns: Unknowns,
    diagnostics: &mut Diagnostics,
) -> Option<Config> {
    let plugin = project.plugins.builders.get(&node.ty)?;
    let parts: Vec<&Part> = node.parts.iter().collect();
    let given = BlockOptions { parts: &parts, overrides: None, header: node.header };
    let scope = project.scope();
    let scope = scope.with(source_names(node));
    let config = options::evaluate(given, &plugin.schema(), &[], &scope, unknowns, diagnostics);
    (!diagnostics.has_errors()).then_some(config)
}

/// What a builder made, as what is to be tested.
pub(crate) fn subject_of(artifact: &dyn Artifact) -> TestSubject {
    TestSubject { id: artifact.id(), files: artifact.files(), run: None }
}

/// A node, and where its tests run.
pub(crate) struct NodeTests<'a> {
    /// The template.
    pub project: &'a Arc<Project>,
    /// The node.
    pub node: &'a Node,
    /// What its plugins know.
    pub prepare: &'a PrepareContext,
}

impl NodeTests<'_> {
    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        self.project.companion.tests_of(&self.node.component).next().is_none()
    }

    /// Runs all tests of the node on `subject`. Those that run it the same way share a machine.
    ///
    /// # Errors
    /// How many checks failed, or why they could not be made.
    pub(crate) async fn run(&self, ctx: &RunContext, subject: &TestSubject) -> Result<()> {
        let tests = self.project.companion.tests_of(&self.node.component).cloned();
        let mut groups: Vec<(Option<TestRun>, Vec<TestBlock>)> = Vec::new();
        for test in tests {
            match groups.iter_mut().find(|(run, _)| *run == test.run) {
                Some((_, group)) => group.push(test),
                None => groups.push((test.run.clone(), vec![test])),
            }
        }
        let mut failures = Vec::new();
        for (run, tests) in groups {
            let running = ctx.ui.step(StepInfo::new(StepKind::BuilderStep, "test artifact"));
            let subject = TestSubject { run, ..subject.clone() };
            let result = self.group(ctx, &subject, tests).await;
            running.end(&result);
            match result {
                Ok(()) => {}
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => failures.push(error),
            }
        }
        let mut failures = failures.into_iter();
        let Some(first) = failures.next() else { return Ok(()) };
        let all = std::iter::once(first.to_string()).chain(failures.map(|error| error.to_string()));
        let message = all.collect::<Vec<_>>().join("; ");
        Err(first.reworded(message))
    }

    /// Runs tests on one machine.
    async fn group(
        &self,
        ctx: &RunContext,
        subject: &TestSubject,
        tests: Vec<TestBlock>,
    ) -> Result<()> {
        let (project, node) = (self.project, self.node);
        let no_plugin = || Error::new(format!("no builder is called `{}`", node.ty));
        let plugin = project.plugins.builders.get(&node.ty).ok_or_else(no_plugin)?;
        let machine: &dyn TestMachine = match project.plugins.test_machines.get(&node.ty) {
            Some(machine) => &**machine,
            None => {
                let message = format!("what the builder `{}` makes cannot be tested", node.ty);
                return Err(Error::new(message).hint(TESTABLE));
            }
        };
        let mut found = Diagnostics::default();
        let config = source_config(project, node, Unknowns::Refuse, &mut found);
        let config = config.ok_or_else(|| Error::new(found.render(&project.sources, false)))?;
        let scratch = tempfile::Builder::new().prefix("ingot-test-").tempdir();
        let scratch = scratch.context("creating a directory for the tests")?;
        let config = machine.options(&config, subject, scratch.path())?;
        let prepare = PrepareContext {
            // What is tested is kept or removed as a whole; the machine goes in any case.
            on_error: OnError::Cleanup,
            force: false,
            cancel: ctx.cancel.clone(),
            ..self.prepare.clone()
        };
        let ready = prepare_config(&**plugin, &config, &plugin.schema(), &prepare)?.ready;
        let limit: Duration = tests.iter().map(|test| test.timeout).sum();
        let hook = Arc::new(TestHook::new(Arc::clone(project), tests));
        let part = ctx.part();
        let machine_ctx = RunContext {
            prepare: Arc::new(prepare),
            hook: Arc::clone(&hook) as Arc<dyn ingot_sdk::Hook>,
            ..part.clone()
        };
        let mut building = std::pin::pin!(ready.build(&machine_ctx));
        let built = match tokio::time::timeout(limit, &mut building).await {
            Ok(built) => built,
            Err(_) => {
                ctx.ui.error("Stopping the tests after their timeout...");
                part.cancel.cancel();
                // What it says of that is not the reason.
                let _ = tokio::time::timeout(STOP_TIMEOUT, building).await;
                let limit = GoDuration(limit);
                Err(Error::new(format!("the tests did not end within their timeout of {limit}")))
            }
        };
        let checked = hook.result();
        match built {
            Ok(Some(left)) => left.destroy().await.context("removing the tested machine")?,
            Ok(None) => {}
            Err(error) if ctx.cancel.is_cancelled() || error.is_cancelled() => {
                return Err(Error::Cancelled);
            }
            Err(error) => {
                // What the checks found is worth more than how their machine ended.
                let Some(Err(failed)) = checked else {
                    return Err(error.context("running the artifact to test it"));
                };
                if !error.to_string().contains(&failed.to_string()) {
                    ctx.ui.error(error.to_string());
                }
                return Err(failed);
            }
        }
        let unchecked = || Err(Error::new("the artifact was run, but no check was made"));
        checked.unwrap_or_else(unchecked)
    }
}

/// Removes what failed its tests with `error`, or leaves it, as `-on-error` says.
pub(crate) async fn dispose(
    hook: &NodeHook,
    ctx: &RunContext,
    artifact: &dyn Artifact,
    error: &Error,
) {
    let left = match ctx.prepare.on_error {
        OnError::Cleanup | OnError::Keep => false,
        OnError::Abort | OnError::RunCleanupProvisioner => true,
        OnError::Ask => {
            let question = "The tests failed.\n[c] Remove what was built, or [a] leave it?";
            tokio::select! {
                () = ctx.cancel.cancelled() => false,
                answer = ctx.ui.ask(question) => {
                    answer.is_ok_and(|answer| answer.trim().eq_ignore_ascii_case("a"))
                }
            }
        }
    };
    if left {
        let what = artifact.description();
        let what = what.trim();
        ctx.ui.error(format!("Leaving what failed its tests, as -on-error asks: {what}"));
    }
    // What is kept, `-resume` tests again.
    if hook.keeper.leaves(artifact, left, error) {
        return;
    }
    ctx.ui.say("Removing what the builder created: its tests failed");
    if let Err(error) = artifact.destroy().await {
        ctx.ui.error(format!("It may be left over: {error}"));
    }
}
