//! Provisioners of plugins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use ingot_sdk::process::Running;
use ingot_sdk::{
    Communicator, Config, ConfigErrors, Error, GeneratedData, PrepareContext, Prepared,
    Provisioner, Result, RunContext, Schema,
};
use rmpv::Value;
use tokio::sync::Mutex;

use super::{Component, SpecKind, facts, map};
use crate::callback::communicator::CommunicatorService;
use crate::callback::ui::UiService;
use crate::callback::{Callbacks, offer};
use crate::host::Instance;
use crate::message::{from_json, record};

/// A provisioner of a plugin.
pub struct HostedProvisioner {
    component: Component,
    /// The process that has the options; none after it was cancelled.
    prepared: Mutex<Option<Instance>>,
    /// What it was prepared with, for a process that takes its place.
    given: Option<(Config, PrepareContext)>,
    used: AtomicBool,
}

impl HostedProvisioner {
    /// A provisioner that has no options yet.
    pub fn new(component: Component) -> Self {
        HostedProvisioner { component, prepared: Mutex::default(), given: None, used: false.into() }
    }

    /// Hands the options to `instance`, or to a new process.
    fn configure(
        component: &Component,
        instance: Option<Instance>,
        config: &Config,
        ctx: &PrepareContext,
    ) -> Result<Instance, ConfigErrors> {
        let mut facts = facts(ctx);
        facts.push(("packer_sensitive_variables", Value::Array(Vec::new())));
        let configs = vec![map(facts)];
        let (instance, _) = component.configure(instance, config, configs, "Prepare")?;
        Ok(instance)
    }
}

#[async_trait]
impl Provisioner for HostedProvisioner {
    fn schema(&self) -> Schema {
        self.component.schema(SpecKind::Config)
    }

    fn prepare(&mut self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        let prepared = self.prepared.get_mut();
        *prepared = Some(Self::configure(&self.component, prepared.take(), config, ctx)?);
        self.given = Some((config.clone(), ctx.clone()));
        Ok(Prepared::default())
    }

    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()> {
        self.used.store(true, Ordering::Relaxed);
        let mut prepared = self.prepared.lock().await;
        let instance = match (prepared.take(), &self.given) {
            (Some(instance), _) => instance,
            // An attempt that took too long was given up along with its process.
            (None, Some((config, ctx))) => Self::configure(&self.component, None, config, ctx)?,
            (None, None) => return Err(Error::new("the provisioner has no options")),
        };
        // A cancelled build waits until the plugin has stopped.
        let _running = Running::new();
        let mux = instance.process().mux();
        let callbacks = Callbacks {
            ui: Some(UiService::new(ctx.ui.clone())),
            communicator: Some(CommunicatorService::new(communicator, mux.clone())),
            ..Callbacks::default()
        };
        let (stream, _offered) = offer(mux, callbacks);
        let data = data.iter().map(|(name, value)| (name.as_str().into(), from_json(value)));
        let argument =
            record([("GeneratedData", Value::Map(data.collect())), ("StreamID", stream.into())]);
        let result = instance.work("Provision", argument, &ctx.cancel, "provisioning").await;
        // A component that was asked to stop does not work again.
        if !ctx.cancel.is_cancelled() {
            *prepared = Some(instance);
        }
        result?;
        Ok(())
    }
}

impl Drop for HostedProvisioner {
    fn drop(&mut self) {
        if let (false, Some(instance)) = (*self.used.get_mut(), self.prepared.get_mut().take()) {
            self.component.host.keep(instance);
        }
    }
}
