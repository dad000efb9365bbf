//! Post-processors of plugins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use ingot_sdk::process::Running;
use ingot_sdk::{
    Artifact, Config, ConfigErrors, Error, GeneratedData, PostProcessor, PrepareContext, Prepared,
    Processed, Result, RunContext, Schema,
};

use super::{Component, SpecKind, facts, map};
use crate::callback::artifact::ArtifactService;
use crate::callback::ui::UiService;
use crate::callback::{Callbacks, offer};
use crate::host::Instance;
use crate::message::{field, stream_id};
use crate::remote::artifact::RemoteArtifact;

/// A post-processor of a plugin.
pub struct HostedPostProcessor {
    component: Component,
    prepared: Option<Arc<Instance>>,
    used: AtomicBool,
}

impl HostedPostProcessor {
    /// A post-processor that has no options yet.
    pub fn new(component: Component) -> Self {
        HostedPostProcessor { component, prepared: None, used: false.into() }
    }
}

#[async_trait]
impl PostProcessor for HostedPostProcessor {
    fn schema(&self) -> Schema {
        self.component.schema(SpecKind::Config)
    }

    fn prepare(&mut self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        let before = self.prepared.take().and_then(Arc::into_inner);
        let configs = vec![map(facts(ctx))];
        let (instance, _) = self.component.configure(before, config, configs, "Configure")?;
        self.prepared = Some(Arc::new(instance));
        Ok(Prepared::default())
    }

    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        _data: &GeneratedData,
    ) -> Result<Processed> {
        let Some(instance) = &self.prepared else {
            return Err(Error::new("the post-processor has no options"));
        };
        self.used.store(true, Ordering::Relaxed);
        // A cancelled build waits until the plugin has stopped.
        let _running = Running::new();
        let callbacks = Callbacks {
            ui: Some(UiService::new(ctx.ui.clone())),
            artifact: Some(ArtifactService(artifact)),
            ..Callbacks::default()
        };
        let (stream, offered) = offer(instance.process().mux(), callbacks);
        let during = "processing an artifact";
        let response = instance.work("PostProcess", stream.into(), &ctx.cancel, during).await?;
        let response = instance.checked(response, "Err")?;
        let flag = |name| field(&response, name).as_bool().unwrap_or(false);
        let artifact: Option<Arc<dyn Artifact>> = match stream_id(&response, "StreamId") {
            0 => None,
            id => {
                let host = Arc::clone(&self.component.host);
                let maker = Arc::clone(instance);
                let artifact = RemoteArtifact::fetch(host, maker, id, Some(offered)).await?;
                Some(Arc::new(artifact))
            }
        };
        Ok(Processed {
            artifact,
            keep_input: flag("Keep"),
            force_keep_input: flag("Keep") && flag("ForceOverride"),
        })
    }
}

impl Drop for HostedPostProcessor {
    fn drop(&mut self) {
        if let (false, Some(instance)) = (*self.used.get_mut(), self.prepared.take())
            && let Some(instance) = Arc::into_inner(instance)
        {
            self.component.host.keep(instance);
        }
    }
}
