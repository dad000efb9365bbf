//! Post-processors of plugins.

use std::sync::Arc;

use async_trait::async_trait;
use ingot_sdk::process::Running;
use ingot_sdk::{
    Artifact, Config, ConfigErrors, GeneratedData, PostProcess, Prepare, PrepareContext, Prepared,
    Processed, Result, RunContext, Schema,
};

use super::{Component, Configured, SpecKind, facts, map};
use crate::callback::artifact::ArtifactService;
use crate::callback::ui::UiService;
use crate::callback::{Callbacks, offer};
use crate::message::{field, stream_id};
use crate::reclaim::WorkRecord;
use crate::remote::artifact::RemoteArtifact;

/// A post-processor of a plugin.
pub struct HostedPostProcessor {
    component: Component,
}

/// The same with its options.
struct HostedPostProcess(Configured);

impl HostedPostProcessor {
    /// A post-processor that has no options yet.
    pub fn new(component: Component) -> Self {
        HostedPostProcessor { component }
    }
}

impl Prepare<dyn PostProcess> for HostedPostProcessor {
    fn schema(&self) -> Schema {
        self.component.schema(SpecKind::Config)
    }

    fn check(&self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        Ok(self.prepare(config, ctx)?.with(()))
    }

    fn prepare(
        &self,
        config: &Config,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Box<dyn PostProcess>>, ConfigErrors> {
        let facts = vec![map(facts(ctx))];
        let configured = Configured::new(&self.component, config, facts, "Configure")?;
        Ok(Prepared::new(Box::new(HostedPostProcess(configured))))
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
        let instance = Arc::new(self.0.take()?);
        let _record = WorkRecord::open(ctx)?;
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
                let host = Arc::clone(self.0.host());
                let maker = Arc::clone(&instance);
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
