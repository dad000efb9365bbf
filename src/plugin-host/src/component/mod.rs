//! The components of plugin programs, in the form that the engine knows.

mod builder;
mod data_source;
mod post_processor;
mod provisioner;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ingot_sdk::interpolate::COMPATIBLE_PACKER_VERSION;
use ingot_sdk::{
    Config, ConfigError, ConfigErrors, ConfigWarning, OnError, OptionValue, PrepareContext, Schema,
};
use rmpv::Value;

pub use builder::HostedBuilder;
pub use data_source::HostedDataSource;
pub use post_processor::HostedPostProcessor;
pub use provisioner::HostedProvisioner;

use crate::cache::SpecCache;
use crate::error::{Failure, HostError, Result};
use crate::gob;
use crate::host::{ComponentId, Host, Instance};
use crate::message::{self, field, list};
use crate::spec::{self, ObjectSpec};

/// A component that can be started.
#[derive(Clone)]
pub struct Component {
    host: Arc<Host>,
    id: Arc<ComponentId>,
    specs: Arc<SpecCache>,
}

/// Which of a component's specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecKind {
    /// The options.
    Config,
    /// The value of a data source.
    Output,
}

impl SpecKind {
    fn method(self) -> &'static str {
        match self {
            SpecKind::Config => "ConfigSpec",
            SpecKind::Output => "OutputSpec",
        }
    }
}

impl Component {
    /// The component `id`, whose specifications are kept in `specs`.
    pub fn new(host: Arc<Host>, id: ComponentId, specs: Arc<SpecCache>) -> Self {
        Component { host, id: Arc::new(id), specs }
    }

    /// What the component takes, or yields. Asked once and then kept.
    ///
    /// # Errors
    /// The plugin failed.
    pub fn spec(&self, kind: SpecKind) -> Result<Arc<ObjectSpec>> {
        if let Some(spec) = self.specs.get(&self.id, kind) {
            return Ok(spec);
        }
        let asked = self.host.block_on(async {
            let instance = self.host.instance(&self.id).await?;
            let during = "telling what options it has";
            let response = instance.ask(kind.method(), Value::Nil, during).await?;
            let bytes = field(&response, kind.method()).as_slice().unwrap_or_default();
            let spec = match self.id.protobuf {
                true => spec::from_protobuf(bytes),
                false => gob::object_spec(bytes),
            };
            let spec = spec.map_err(|problem| {
                let (during, problem) = (during.to_owned(), problem.to_string());
                instance.process().failed(Failure::Protocol { during, problem })
            })?;
            Ok::<_, HostError>((instance, spec))
        });
        let (instance, spec) = asked?;
        self.host.keep(instance);
        let spec = Arc::new(spec);
        self.specs.put(&self.id, kind, &spec);
        Ok(spec)
    }

    /// The options for the engine. Where the plugin cannot tell, any are taken: preparing it will
    /// say why.
    fn schema(&self, kind: SpecKind) -> Schema {
        match self.spec(kind) {
            Ok(spec) => spec::schema(&spec),
            Err(error) => {
                tracing::debug!(%error, "a plugin did not tell its options");
                Schema { open: true, renders_itself: true, ..Schema::default() }
            }
        }
    }

    /// Hands options to a component with `method`, after the facts about the build in `facts`.
    /// Yields the component, which now has them, and what it answered. What a component warns of
    /// goes with its errors, too.
    fn configure(
        &self,
        config: &Config,
        facts: Vec<Value>,
        method: &str,
    ) -> Result<(Instance, Value), ConfigErrors> {
        let failed = |error: HostError| ConfigErrors::from(ConfigError::new(error.to_string()));
        let spec = self.spec(SpecKind::Config).map_err(failed)?;
        let options = spec::encode(&spec, config.values())
            .map_err(|(option, problem)| ConfigErrors::from(ConfigError::on(option, problem)))?;
        let mut configs = facts;
        configs.push(Value::Binary(options.to_string().into_bytes()));
        let argument = message::record([("Configs", Value::Array(configs))]);
        let asked = self.host.block_on(async {
            let instance = self.host.instance(&self.id).await?;
            let response = instance.ask(method, argument, "checking its options").await?;
            Ok::<_, HostError>((instance, response))
        });
        let (instance, response) = asked.map_err(|error| match error.failure {
            Failure::Remote(message) => config_errors(&message, config),
            _ => failed(error),
        })?;
        match message::error(&response, "Error") {
            None => Ok((instance, response)),
            Some(error) => {
                let warnings = config_warnings(&response, config);
                Err(config_errors(&error, config).with_warnings(warnings))
            }
        }
    }
}

/// A component that has its options, in a process of its own. A process that was not used goes back
/// to the host, for the next one to be configured.
struct Configured {
    component: Component,
    config: Config,
    facts: Vec<Value>,
    method: &'static str,
    /// None while the process works, and after it was given up along with its work.
    idle: Mutex<Option<Instance>>,
    used: AtomicBool,
}

impl Configured {
    /// See [`Component::configure`].
    fn new(
        component: &Component,
        config: &Config,
        facts: Vec<Value>,
        method: &'static str,
    ) -> Result<Self, ConfigErrors> {
        let (instance, _) = component.configure(config, facts.clone(), method)?;
        let (component, config) = (component.clone(), config.clone());
        let (idle, used) = (Mutex::new(Some(instance)), false.into());
        Ok(Configured { component, config, facts, method, idle, used })
    }

    fn host(&self) -> &Arc<Host> {
        &self.component.host
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Option<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process to work with; a new one in the place of one that was given up.
    fn take(&self) -> ingot_sdk::Result<Instance> {
        self.used.store(true, Ordering::Relaxed);
        let idle = self.idle().take();
        if let Some(instance) = idle {
            return Ok(instance);
        }
        let facts = self.facts.clone();
        Ok(self.component.configure(&self.config, facts, self.method)?.0)
    }

    /// Keeps a process that can work again.
    fn put_back(&self, instance: Instance) {
        *self.idle() = Some(instance);
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        let idle = self.idle().take();
        if let (false, Some(instance)) = (*self.used.get_mut(), idle) {
            self.component.host.keep(instance);
        }
    }
}

/// What a plugin is told about the build that it is part of.
fn facts(ctx: &PrepareContext) -> Vec<(&'static str, Value)> {
    let on_error = match ctx.on_error {
        OnError::Cleanup => "cleanup",
        OnError::Abort => "abort",
        OnError::Ask => "ask",
        OnError::RunCleanupProvisioner => "run-cleanup-provisioner",
    };
    vec![
        ("packer_build_name", ctx.build_name.as_str().into()),
        ("packer_builder_type", ctx.build_type.as_str().into()),
        ("packer_core_version", COMPATIBLE_PACKER_VERSION.into()),
        ("packer_debug", ctx.debug.to_string().into()),
        ("packer_force", ctx.force.to_string().into()),
        ("packer_on_error", on_error.into()),
    ]
}

fn map(entries: Vec<(&str, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

/// What a plugin says is wrong, one by one: several errors come as a list under a headline such as
/// "2 error(s) occurred:".
fn config_errors(message: &str, config: &Config) -> ConfigErrors {
    let is_headline = |line: &str| {
        let line = line.trim_end_matches(':');
        line.split_once(' ').is_some_and(|(count, rest)| {
            count.parse::<u32>().is_ok()
                && matches!(rest, "error(s) occurred" | "error occurred" | "errors occurred")
        })
    };
    let mut lines = message.trim().lines();
    if !lines.next().is_some_and(|first| is_headline(first.trim())) {
        return ConfigErrors::from(config_error(message.trim(), config));
    }
    let mut errors: Vec<String> = Vec::new();
    for line in lines {
        match (line.trim_start().strip_prefix("* "), errors.last_mut()) {
            (Some(error), _) => errors.push(error.trim_end().to_owned()),
            (None, Some(last)) if !line.trim().is_empty() => {
                last.push('\n');
                last.push_str(line.trim_end());
            }
            _ => {}
        }
    }
    if errors.is_empty() {
        return ConfigErrors::from(config_error(message.trim(), config));
    }
    errors.iter().map(|error| config_error(error, config)).collect()
}

/// An error about the option that it names.
fn config_error(message: &str, config: &Config) -> ConfigError {
    match named_option(message, config) {
        Some(name) => ConfigError::on(name, message),
        None => ConfigError::new(message),
    }
}

/// What the answer of a builder warns of, at the options that it names.
fn config_warnings(response: &Value, config: &Config) -> Vec<ConfigWarning> {
    let warning = |message: String| match named_option(&message, config) {
        Some(name) => ConfigWarning::on(name, message),
        None => message.into(),
    };
    list(field(response, "Warnings")).into_iter().map(warning).collect()
}

/// The option that a message names, as a path such as `disk[1].size`, if it names just one of those
/// that are set. One that is not in a block counts before those that are.
fn named_option(message: &str, config: &Config) -> Option<String> {
    let mut found = Vec::new();
    for (name, value) in config.values() {
        collect_named(message, name, name.clone(), value, 0, &mut found);
    }
    let outermost = found.iter().map(|(depth, _)| *depth).min()?;
    let mut found = found.into_iter().filter(|(depth, _)| *depth == outermost);
    match (found.next(), found.next()) {
        (Some((_, path)), None) => Some(path),
        _ => None,
    }
}

/// Adds the paths, and how deep they are, of those options at and below `path` that `message` names.
fn collect_named(
    message: &str,
    name: &str,
    path: String,
    value: &OptionValue,
    depth: usize,
    found: &mut Vec<(usize, String)>,
) {
    let entries = match value {
        OptionValue::Map(entries) => vec![(path.clone(), entries)],
        OptionValue::List(items) => {
            let blocks = items.iter().enumerate().filter_map(|(index, item)| match item {
                OptionValue::Map(entries) => Some((format!("{path}[{index}]"), entries)),
                _ => None,
            });
            blocks.collect()
        }
        _ => Vec::new(),
    };
    for (path, entries) in entries {
        for (inner, value) in entries {
            collect_named(message, inner, format!("{path}.{inner}"), value, depth + 1, found);
        }
    }
    if names_option(message, name) {
        found.push((depth, path));
    }
}

/// Whether a message names the option `name`. Short names are words of any sentence: those count in
/// quotes, or where the message begins with them.
fn names_option(message: &str, name: &str) -> bool {
    let word = |c: char| !c.is_alphanumeric() && c != '_';
    let quoted = |quote: char| message.contains(&format!("{quote}{name}{quote}"));
    let mut words = message.split(word);
    match name.contains('_') || ['\'', '"', '`'].into_iter().any(quoted) {
        true => words.any(|part| part == name),
        false => words.next() == Some(name),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_are_told_one_by_one_at_their_options() {
        let options = json!({"ssh_port": 1, "name": "x", "disk_size": "1"});
        let config = Config::new(options.as_object().unwrap().clone());
        let message =
            "2 error(s) occurred:\n\n* ssh_port must be free\n  of use\n* a name is needed";
        let errors = config_errors(message, &config).0;
        assert_eq!(errors[0], ConfigError::on("ssh_port", "ssh_port must be free\n  of use"));
        assert_eq!(errors[1], ConfigError::new("a name is needed"));
        let both = config_errors("either 'ssh_port' or 'disk_size'", &config).0;
        assert_eq!(both, [ConfigError::new("either 'ssh_port' or 'disk_size'")]);
        let first = config_errors("name: too long a name", &config).0;
        assert_eq!(first, [ConfigError::on("name", "name: too long a name")]);
    }

    #[test]
    fn options_in_blocks_are_found_by_their_names() {
        let options = json!({
            "disk_size": 1,
            "storage": [{"disk_size": 2}, {"thin_provisioned": true}],
            "customize": {"gateway": "x"},
        });
        let config = Config::new(options.as_object().unwrap().clone());
        let named = |message: &str| named_option(message, &config);
        assert_eq!(named("disk_size is too small").as_deref(), Some("disk_size"));
        let inner = named("thin_provisioned needs a datastore");
        assert_eq!(inner.as_deref(), Some("storage[1].thin_provisioned"));
        assert_eq!(named("the 'gateway' is wrong").as_deref(), Some("customize.gateway"));
        assert_eq!(named("a gateway is wrong"), None);
    }

    #[test]
    fn warnings_are_told_at_their_options() {
        let options = json!({"ssh_port": 1});
        let config = Config::new(options.as_object().unwrap().clone());
        let said = ["ssh_port is odd", "odd"].map(Value::from).to_vec();
        let response = message::record([("Warnings", Value::Array(said))]);
        let expected = [ConfigWarning::on("ssh_port", "ssh_port is odd"), "odd".into()];
        assert_eq!(config_warnings(&response, &config), expected);
    }
}
