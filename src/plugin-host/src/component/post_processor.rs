//! Post-processors of plugins.

use std::sync::Arc;

use async_trait::async_trait;
use ingot_sdk::{
    Artifact, Config, ConfigErrors, GeneratedData, PostProcess, PrepareContext, Prepared,
    Processed, Result, RunContext,
};

use super::{Component, Configure, Configured, Facts, Hosted};
use crate::callback::artifact::ArtifactService;
use crate::callback::ui::UiService;
use crate::callback::{Callbacks, offer};
use crate::error::HostError;
use crate::message::{field, stream_id};
use crate::remote::artifact::RemoteArtifact;

/// A post-processor of a plugin.
pub type HostedPostProcessor = Hosted<HostedPostProcess>;

/// The same with its options.
pub struct HostedPostProcess(Configured);

impl Configure for HostedPostProcess {
    type Ready = dyn PostProcess;

    fn configure(
        component: &Component,
        config: &Config,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Self>, ConfigErrors> {
        let facts = Facts::of_step(ctx);
        let configured = Configured::new(component, config, facts, "Configure", &ctx.cancel)?;
        Ok(Prepared::new(HostedPostProcess(configured)))
    }

    fn erase(self) -> Box<dyn PostProcess> {
        Box::new(self)
    }
}

#[async_trait]
impl PostProcess for HostedPostProcess {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        _data: &GeneratedData,
    ) -> Result<Processed> {
        let instance = Arc::new(self.0.take(&ctx.cancel)?);
        self.0.host().recorded_creator(&instance)?;
        // A cancelled build waits until the plugin has stopped.
        let _running = ctx.processes.running();
        let callbacks = Callbacks {
            ui: Some(UiService::new(ctx.ui.clone())),
            artifact: Some(ArtifactService(artifact)),
            ..Callbacks::default()
        };
        let (stream, offered) = offer(instance.process().mux(), callbacks);
        let during = "processing an artifact";
        let response = instance.work("PostProcess", stream.into(), ctx, during, Some("Err")).await;
        let response = response.map_err(HostError::while_creating)?;
        let flag = |name| field(&response, name).as_bool().unwrap_or(false);
        let artifact: Option<Arc<dyn Artifact>> = match stream_id(&response, "StreamId") {
            0 => None,
            id => {
                let host = Arc::clone(self.0.host());
                let maker = Arc::clone(&instance);
                let artifact = RemoteArtifact::fetch(host, maker, id, Some(offered)).await;
                let artifact = artifact.map_err(HostError::while_creating)?;
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
