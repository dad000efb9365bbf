//! Templates that are read, checked and prepared, and what a plugin is given when a step runs.

use ingot_sdk::{Config, ConfigErrors, Prepare, PrepareContext, Prepared, Schema};
use ingot_template::steps::Step;

use crate::blocks::{prepare_config, step_options};
use crate::graph::{self, Filter, Node};
use crate::prepare::run_names;
use crate::project::RunFlags;
use crate::test_plugins::plugins;
use crate::{Project, ProjectOptions, check, prepare};
use ingot_hcl::{Diagnostics, Unknowns, Value};

/// What is not known to whoever does not fetch it.
pub(super) const UNKNOWN: &str = "data.null.u.output";
pub(super) const DATA: &str = "data \"null\" \"u\" {\n  input = \"x\"\n}\n";
pub(super) const NULL: &str = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\n";

/// A template that was read and evaluated.
pub(super) struct Opened {
    pub(super) project: Project,
    pub(super) diagnostics: Diagnostics,
    _dir: tempfile::TempDir,
}

impl Opened {
    pub(super) fn new(text: &str) -> Opened {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("t.pkr.hcl"), text).unwrap();
        let mut diagnostics = Diagnostics::default();
        let options = ProjectOptions { plugins: plugins(), ..Default::default() };
        let mut project = Project::load(dir.path(), &options, &mut diagnostics);
        project.evaluate(&options, &mut diagnostics);
        Opened { project, diagnostics, _dir: dir }
    }

    pub(super) fn check(&mut self) -> usize {
        let (filter, flags) = (Filter::default(), RunFlags::default());
        check(&self.project, &filter, &flags, &mut self.diagnostics).len()
    }

    pub(super) fn prepare(&mut self) -> usize {
        let (filter, flags) = (Filter::default(), RunFlags::default());
        prepare(&self.project, &filter, &flags, &mut self.diagnostics).len()
    }

    pub(super) fn said(&self) -> String {
        self.diagnostics.render(&self.project.sources, false)
    }

    pub(super) fn nodes(&mut self) -> Vec<Node> {
        let filter = Filter::default();
        graph::build(&self.project.template, &self.project.builds, &filter, &mut self.diagnostics)
    }
}

/// The options of a step as they are when it runs, and what its plugin is then given.
pub(super) fn at_run(
    opened: &Opened,
    node: &Node,
    step: &Step,
    schema: &Schema,
    build: Value,
) -> Result<Config, String> {
    let mut diagnostics = Diagnostics::default();
    let scope = opened.project.scope();
    let scope = scope.with(run_names(node, build));
    let config = step_options(step, node, schema, &scope, Unknowns::Refuse, &mut diagnostics);
    if diagnostics.has_errors() {
        let said = diagnostics.render(&opened.project.sources, false);
        assert!(said.contains("t.pkr.hcl:"), "no place: {said}");
        return Err(said);
    }
    let context = opened.project.prepare_context(node, &RunFlags::default());
    let witness: &dyn Prepare<Config> = &Witness;
    let prepared = prepare_config(witness, &config, schema, &context);
    Ok(*prepared.map_err(|errors| format!("{errors:?}"))?.ready)
}

/// A plugin that becomes the options that it is given.
struct Witness;

impl Prepare<Config> for Witness {
    fn schema(&self) -> Schema {
        Schema::default()
    }

    fn check(&self, _: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        Ok(Prepared::default())
    }

    fn prepare(
        &self,
        config: &Config,
        _: &PrepareContext,
    ) -> Result<Prepared<Box<Config>>, ConfigErrors> {
        Ok(Prepared::new(Box::new(config.clone())))
    }
}
