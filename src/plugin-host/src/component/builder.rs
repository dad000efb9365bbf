//! Builders of plugins.

use std::sync::Arc;

use async_trait::async_trait;
use ingot_sdk::{
    Artifact, Build, Config, ConfigErrors, PrepareContext, Prepared, Result, RunContext,
};
use rmpv::Value;

use super::{Component, Configure, Hosted, Facts, config_warnings};
use crate::callback::hook::HookService;
use crate::callback::ui::UiService;
use crate::callback::{Callbacks, offer};
use crate::host::{Host, Instance};
use crate::message::{field, list};
use crate::remote::artifact::RemoteArtifact;

/// A builder of a plugin.
pub type HostedBuilder = Hosted<HostedBuild>;

/// The same in a process that has the options.
pub struct HostedBuild {
    host: Arc<Host>,
    instance: Arc<Instance>,
}

impl Configure for HostedBuild {
    type Ready = dyn Build;

    fn configure(
        component: &Component,
        config: &Config,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Self>, ConfigErrors> {
        let (instance, response) = component.configure(config, &Facts::of_builder(ctx), "Prepare")?;
        let prepared = Prepared {
            warnings: config_warnings(&response, config),
            generated: list(field(&response, "GeneratedVars")),
            ..Prepared::default()
        };
        let (host, instance) = (Arc::clone(&component.host), Arc::new(instance));
        Ok(prepared.with(HostedBuild { host, instance }))
    }

    fn erase(self) -> Box<dyn Build> {
        Box::new(self)
    }
}

#[async_trait]
impl Build for HostedBuild {
    async fn build(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let instance = &self.instance;
        self.host.recorded()?;
        let callbacks = Callbacks {
            ui: Some(UiService::new(ctx.ui.clone())),
            hook: Some(HookService::new(ctx.clone(), instance)),
            ..Callbacks::default()
        };
        let (stream, offered) = offer(instance.process().mux(), callbacks);
        let created = instance.work("Run", stream.into(), &ctx.cancel, "building").await?;
        let id = match &created {
            Value::Integer(id) => id.as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or(0),
            _ => 0,
        };
        if id == 0 {
            return Ok(None);
        }
        let host = Arc::clone(&self.host);
        let artifact = RemoteArtifact::fetch(host, Arc::clone(instance), id, Some(offered)).await?;
        Ok(Some(Arc::new(artifact)))
    }
}
