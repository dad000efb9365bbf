//! A host with the plugin, and what it needs around it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ingot_plugin_host::{
    ComponentKind, Host, HostedBuilder, HostedDataSource, HostedPostProcessor, HostedProvisioner,
    Program, StartedPrograms, discovery,
};
use ingot_sdk::Prepare as _;
use ingot_sdk::journal::NoJournal;
use ingot_sdk::testing::{RecordedOutput, context};
use ingot_sdk::{Config, PrepareContext, RunContext};
use serde_json::Value;

/// The name of a plugin's component that is called as the plugin.
const DEFAULT: &str = "-packer-default-plugin-name-";

/// The id of the run.
const RUN: &str = "00000000-0000-0000-0000-000000000000";

/// The plugin, and a directory for the test.
pub(crate) struct Trial {
    variables: Vec<(String, String)>,
    pub dir: tempfile::TempDir,
    pub said: Arc<RecordedOutput>,
    program: Program,
    plugins: tempfile::TempDir,
}

/// The plugin with these variables in its environment; none where it cannot be built.
pub(crate) fn trial(environment: &[(&str, &str)]) -> Option<Trial> {
    let plugins = ingot_test_support::trial_plugin::plugin_directory()?;
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    let mut variables = vec![("TRIAL_RECORD".to_owned(), record.to_str().unwrap().to_owned())];
    variables.extend(environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    let limits = |host: Host| host.with_call_timeout(Duration::from_secs(20));
    let program = open(variables.clone(), &dir, &plugins, limits);
    Some(Trial { variables, dir, said: Arc::default(), program, plugins })
}

fn open(
    variables: Vec<(String, String)>,
    dir: &tempfile::TempDir,
    plugins: &tempfile::TempDir,
    limits: impl FnOnce(Host) -> Host,
) -> Program {
    let programs = StartedPrograms::new(RUN, Arc::new(NoJournal));
    let host = Arc::new(limits(Host::new(programs, variables)));
    let installed = discovery::installations(plugins.path());
    let cache = dir.path().join("cache");
    Program::open(&host, &installed[0], Some(&cache)).unwrap()
}

impl Trial {
    /// From now on, the plugin has this long to answer.
    pub(crate) fn limit(&mut self, limit: Duration) {
        // What it says of itself is known by then.
        self.builder().schema();
        self.reopen(|host| host.with_call_timeout(limit));
    }

    /// From now on, the plugin has this long until it listens.
    pub(crate) fn start_limit(&mut self, limit: Duration) {
        self.reopen(|host| host.with_start_timeout(limit));
    }

    fn reopen(&mut self, limits: impl FnOnce(Host) -> Host) {
        self.program = open(self.variables.clone(), &self.dir, &self.plugins, limits);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn builder(&self) -> HostedBuilder {
        HostedBuilder::new(self.program.component(ComponentKind::Builder, DEFAULT))
    }

    pub(crate) fn provisioner(&self) -> HostedProvisioner {
        HostedProvisioner::new(self.program.component(ComponentKind::Provisioner, DEFAULT))
    }

    pub(crate) fn post_processor(&self) -> HostedPostProcessor {
        HostedPostProcessor::new(self.program.component(ComponentKind::PostProcessor, DEFAULT))
    }

    pub(crate) fn data_source(&self) -> HostedDataSource {
        HostedDataSource::new(self.program.component(ComponentKind::DataSource, "facts"))
    }

    pub(crate) fn ctx(&self) -> RunContext {
        context(facts(), &self.said)
    }

    /// The line that follows `start` in the output.
    pub(crate) fn line(&self, start: &str) -> String {
        let lines = self.said.lines();
        let found = lines.iter().find_map(|line| line.strip_prefix(start));
        found.unwrap_or_else(|| panic!("nothing begins with {start:?} in {lines:#?}")).to_owned()
    }

    /// How often the program was started as a component.
    pub(crate) fn starts(&self) -> usize {
        let record = std::fs::read_to_string(self.path("record")).unwrap_or_default();
        record.lines().filter(|line| line.starts_with("start")).count()
    }
}

pub(crate) fn facts() -> PrepareContext {
    PrepareContext {
        build_name: "one".into(),
        build_type: "trial".into(),
        force: true,
        ..PrepareContext::default()
    }
}

pub(crate) fn config(options: Value) -> Config {
    Config::new(options.as_object().unwrap().clone())
}
