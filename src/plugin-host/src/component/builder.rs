//! Builders of plugins.

use std::sync::Arc;

use async_trait::async_trait;
use ingot_sdk::{
    Artifact, Build, Config, ConfigErrors, PrepareContext, Prepared, Result, RunContext,
};
use rmpv::Value;

use super::{Component, Configure, Facts, Hosted, config_warnings};
use crate::callback::hook::HookService;
use crate::callback::ui::UiService;
use crate::callback::{Callbacks, offer};
use crate::error::HostError;
use crate::host::Instance;
use crate::message::{field, list};
use crate::remote::artifact::RemoteArtifact;

/// A builder of a plugin.
pub type HostedBuilder = Hosted<HostedBuild>;

/// The same in a process that has the options.
pub struct HostedBuild {
    component: Component,
    config: Config,
    facts: Facts,
    instance: Arc<Instance>,
}

impl Configure for HostedBuild {
    type Ready = dyn Build;

    fn configure(
        component: &Component,
        config: &Config,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Self>, ConfigErrors> {
        let facts = Facts::of_builder(ctx);
        let (instance, response) = component.configure(config, &facts, "Prepare", &ctx.cancel)?;
        let prepared = Prepared {
            warnings: config_warnings(&response, config),
            generated: list(field(&response, "GeneratedVars")),
            ..Prepared::default()
        };
        let (component, config) = (component.clone(), config.clone());
        let instance = Arc::new(instance);
        Ok(prepared.with(HostedBuild { component, config, facts, instance }))
    }

    fn erase(self) -> Box<dyn Build> {
        Box::new(self)
    }
}

#[async_trait]
impl Build for HostedBuild {
    async fn build(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let host = &self.component.host;
        host.recorded_creator(&self.instance)?;
        // It may have waited for other builds since it was checked.
        let again;
        let instance = match self.instance.is_over() {
            false => &self.instance,
            true => {
                let (config, facts) = (&self.config, &self.facts);
                again = Arc::new(self.component.again(config, facts, "Prepare", &ctx.cancel)?);
                &again
            }
        };
        let callbacks = Callbacks {
            ui: Some(UiService::new(ctx.ui.clone())),
            hook: Some(HookService::new(ctx.clone(), instance)),
            ..Callbacks::default()
        };
        let (stream, offered) = offer(instance.process().mux(), callbacks);
        let created = instance.work("Run", stream.into(), ctx, "building", None).await;
        let created = created.map_err(HostError::while_creating)?;
        let id = match &created {
            Value::Integer(id) => id.as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or(0),
            _ => 0,
        };
        if id == 0 {
            return Ok(None);
        }
        let host = Arc::clone(host);
        let artifact = RemoteArtifact::fetch(host, Arc::clone(instance), id, Some(offered)).await;
        let artifact = artifact.map_err(HostError::while_creating)?;
        Ok(Some(Arc::new(artifact)))
    }
}
