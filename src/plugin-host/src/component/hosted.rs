//! A component of a plugin program, and one that has its options.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ingot_sdk::{Config, ConfigError, ConfigErrors, Schema};
use parking_lot::Mutex;
use rmpv::Value;
use tokio_util::sync::CancellationToken;

use super::config_errors::{config_errors, config_warnings};
use super::facts::Facts;
use crate::cache::SpecCache;
use crate::error::{Failure, HostError, Result};
use crate::gob;
use crate::host::{ComponentId, Host, Instance};
use crate::message::{self, field};
use crate::spec::{self, ObjectSpec, SpecKind};

/// A component that can be started.
#[derive(Clone)]
pub struct Component {
    pub(super) host: Arc<Host>,
    pub(super) id: Arc<ComponentId>,
    specs: Arc<SpecCache>,
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
            let instance = self.host.instance_to_describe(&self.id).await?;
            let during = "describing its options";
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

    /// The same during the run, in a new process.
    ///
    /// # Errors
    /// The plugin refuses what it took before, failed, or `cancel` fired.
    pub(super) fn again(
        &self,
        config: &Config,
        facts: &Facts,
        method: &str,
        cancel: &CancellationToken,
    ) -> ingot_sdk::Result<Instance> {
        match self.configure(config, facts, method, cancel) {
            Ok((instance, _)) => Ok(instance),
            Err(_) if cancel.is_cancelled() => Err(ingot_sdk::Error::Cancelled),
            Err(errors) => Err(errors.into()),
        }
    }

    fn cancelled(&self) -> HostError {
        let program = crate::process::program_name(&self.id.path);
        HostError { program, failure: Failure::Cancelled, log: Vec::new() }
    }

    /// The options for the engine. Where the plugin cannot tell, any are taken: preparing it will
    /// say why.
    pub(super) fn schema(&self, kind: SpecKind) -> Schema {
        match self.spec(kind) {
            Ok(spec) => spec::schema(&spec),
            Err(error) => {
                tracing::debug!(%error, "a plugin did not describe its options");
                Schema { open: true, renders_itself: true, ..Schema::default() }
            }
        }
    }

    /// Hands options to a component with `method`, along with `facts` about the build, unless
    /// `cancel` fires. Yields the component, which now has them, and what it answered. What a
    /// component warns of goes with its errors, too.
    pub(super) fn configure(
        &self,
        config: &Config,
        facts: &Facts,
        method: &str,
        cancel: &CancellationToken,
    ) -> Result<(Instance, Value), ConfigErrors> {
        let failed = |error: HostError| ConfigErrors::from(ConfigError::new(error.to_string()));
        let spec = self.spec(SpecKind::Config).map_err(failed)?;
        let options = spec::encode(&spec, config.values())
            .map_err(|(option, problem)| ConfigErrors::from(ConfigError::on(option, problem)))?;
        let configs = facts.with_facts(Value::Binary(options.to_string().into_bytes()));
        let argument = message::record([("Configs", Value::Array(configs))]);
        let asking = async {
            let instance = self.host.instance(&self.id).await?;
            let response = instance.ask(method, argument, "checking its options").await?;
            Ok::<_, HostError>((instance, response))
        };
        let asked = self.host.block_on(async {
            tokio::select! {
                asked = asking => asked,
                // The process ends with what was asked.
                () = cancel.cancelled() => Err(self.cancelled()),
            }
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
pub(super) struct Configured {
    pub(super) component: Component,
    config: Config,
    facts: Facts,
    method: &'static str,
    /// None while the process works, and after it was given up along with its work.
    idle: Mutex<Option<Instance>>,
    used: AtomicBool,
}

impl Configured {
    /// See [`Component::configure`].
    pub(super) fn new(
        component: &Component,
        config: &Config,
        facts: Facts,
        method: &'static str,
        cancel: &CancellationToken,
    ) -> Result<Self, ConfigErrors> {
        let (instance, _) = component.configure(config, &facts, method, cancel)?;
        let (component, config) = (component.clone(), config.clone());
        let (idle, used) = (Mutex::new(Some(instance)), false.into());
        Ok(Configured { component, config, facts, method, idle, used })
    }

    pub(super) fn host(&self) -> &Arc<Host> {
        &self.component.host
    }

    fn idle(&self) -> parking_lot::MutexGuard<'_, Option<Instance>> {
        self.idle.lock()
    }

    /// The process to work with; a new one in the place of one that was given up, unless `cancel`
    /// fires.
    ///
    /// # Errors
    /// The plugin refuses what it took before, or failed.
    pub(super) fn take(&self, cancel: &CancellationToken) -> ingot_sdk::Result<Instance> {
        self.used.store(true, Ordering::Relaxed);
        let idle = self.idle().take();
        if let Some(instance) = idle.filter(|instance| !instance.is_over()) {
            return Ok(instance);
        }
        self.component.again(&self.config, &self.facts, self.method, cancel)
    }

    /// Keeps a process that can work again, if it can: one that was killed cannot.
    pub(super) fn put_back(&self, instance: Instance) {
        if !instance.is_over() {
            *self.idle() = Some(instance);
        }
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
