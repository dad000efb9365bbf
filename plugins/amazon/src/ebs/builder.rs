//! The builder.

use std::sync::Arc;

use ingot_sdk::{
    Artifact, Builder, Config, ConfigErrors, Error, OnError, PrepareContext, Prepared, Result,
    RunContext, Schema, async_trait, run_steps,
};

use super::artifact::AmiArtifact;
use super::options::schema;
use super::settings::Settings;
use super::steps::{State, steps};
use crate::access::Access;

/// Builds AMIs: starts an instance from an AMI, provisions it, stops it and makes an AMI of it.
#[derive(Default)]
pub struct EbsBuilder {
    settings: Option<Settings>,
}

#[async_trait]
impl Builder for EbsBuilder {
    fn schema(&self) -> Schema {
        schema()
    }

    fn prepare(&mut self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        let (settings, prepared) = Settings::prepare(config, ctx)?;
        self.settings = Some(settings);
        Ok(prepared)
    }

    async fn run(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let Some(settings) = self.settings.clone() else {
            return Err(Error::new("the builder was not prepared"));
        };
        let access = ctx.unless_cancelled(Access::open(&settings.raw.access, &ctx.ui)).await?;
        let steps = steps(&settings);
        let mut state = State::new(ctx, settings, access);
        if let Err(error) = run_steps(ctx, &steps, &mut state).await {
            // With this setting the steps are left as they are, uncleaned, but for this.
            if ctx.prepare.on_error == OnError::RunCleanupProvisioner && state.provisioning {
                ctx.clean_up_provision(state.communicator_or_none(), state.data.clone()).await;
            }
            return Err(state.access.explain(error).await);
        }
        if state.images.is_empty() {
            return Ok(None);
        }
        let images = state.images.iter().map(|(region, image)| (region.clone(), image.id.clone()));
        Ok(Some(Arc::new(AmiArtifact {
            images: images.collect(),
            kept: state.settings.own_snapshots(),
            access: state.access,
            data: state.data,
        })))
    }
}
