//! Builders of plugins.

use std::sync::Arc;

use async_trait::async_trait;
use ingot_sdk::{
    Artifact, Builder, Config, ConfigErrors, Error, PrepareContext, Prepared, Result, RunContext,
    Schema,
};
use rmpv::Value;

use super::{Component, SpecKind, facts, map};
use crate::callback::hook::HookService;
use crate::callback::ui::UiService;
use crate::callback::{Callbacks, offer};
use crate::host::Instance;
use crate::message::{field, list};
use crate::remote::artifact::RemoteArtifact;

/// A builder of a plugin.
pub struct HostedBuilder {
    component: Component,
    prepared: Option<Arc<Instance>>,
}

impl HostedBuilder {
    /// A builder that has no options yet.
    pub fn new(component: Component) -> Self {
        HostedBuilder { component, prepared: None }
    }
}

#[async_trait]
impl Builder for HostedBuilder {
    fn schema(&self) -> Schema {
        self.component.schema(SpecKind::Config)
    }

    fn prepare(&mut self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        let component = &self.component;
        let (instance, response) =
            component.configure(None, config, vec![map(facts(ctx))], "Prepare")?;
        self.prepared = Some(Arc::new(instance));
        Ok(Prepared {
            warnings: list(field(&response, "Warnings")),
            generated: list(field(&response, "GeneratedVars")),
            ..Prepared::default()
        })
    }

    async fn run(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let Some(instance) = &self.prepared else {
            return Err(Error::new("the builder has no options"));
        };
        let callbacks = Callbacks {
            ui: Some(UiService::new(ctx.ui.clone())),
            hook: Some(HookService::new(ctx.clone(), instance)),
            ..Callbacks::default()
        };
        let (stream, offered) = offer(instance.process().mux(), callbacks);
        let made = instance.work("Run", stream.into(), &ctx.cancel, "building").await?;
        let id = match &made {
            Value::Integer(id) => id.as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or(0),
            _ => 0,
        };
        if id == 0 {
            return Ok(None);
        }
        let host = Arc::clone(&self.component.host);
        let artifact = RemoteArtifact::fetch(host, Arc::clone(instance), id, Some(offered)).await?;
        Ok(Some(Arc::new(artifact)))
    }
}
