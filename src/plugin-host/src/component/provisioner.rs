//! Provisioners of plugins.

use std::sync::Arc;

use async_trait::async_trait;
use ingot_sdk::{
    Communicator, Config, ConfigErrors, Error, GeneratedData, PrepareContext, Prepared, Provision,
    Result, RunContext,
};
use rmpv::Value;

use super::{Component, Configure, Configured, Facts, Hosted};
use crate::callback::communicator::CommunicatorService;
use crate::callback::ui::UiService;
use crate::callback::{Callbacks, offer};
use crate::error::Failure;
use crate::message::{from_json, record};

/// A provisioner of a plugin.
pub type HostedProvisioner = Hosted<HostedProvision>;

/// The same with its options.
pub struct HostedProvision(Configured);

impl Configure for HostedProvision {
    type Ready = dyn Provision;

    fn configure(
        component: &Component,
        config: &Config,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Self>, ConfigErrors> {
        let facts = Facts::of_step(ctx);
        let configured = Configured::new(component, config, facts, "Prepare", &ctx.cancel)?;
        Ok(Prepared::new(HostedProvision(configured)))
    }

    fn erase(self) -> Box<dyn Provision> {
        Box::new(self)
    }
}

#[async_trait]
impl Provision for HostedProvision {
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()> {
        let instance = self.0.take(&ctx.cancel)?;
        self.0.host().recorded()?;
        // A cancelled build waits until the plugin has stopped.
        let _running = ctx.processes.running();
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
        let result = instance.work("Provision", argument, ctx, "provisioning", None).await;
        // A component that was asked to stop does not work again.
        if !ctx.cancel.is_cancelled() {
            self.0.put_back(instance);
        }
        match result {
            // The machine goes all the same, and most of what a provisioner creates is on that.
            Err(error) if matches!(error.failure, Failure::Abandoned(_)) => {
                ctx.ui.error(error.to_string());
                Err(Error::Cancelled)
            }
            result => Ok(result.map(drop)?),
        }
    }
}
