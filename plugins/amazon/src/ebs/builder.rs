//! The builder.

use std::sync::Arc;

use ingot_sdk::{
    Artifact, Build, Component, ConfigErrors, Decoded, PrepareContext, Prepared, Result,
    RunContext, Schema, async_trait, run_steps,
};

use super::artifact::AmiArtifact;
use super::options::{Options, schema};
use super::settings::Settings;
use super::steps::{State, steps};
use crate::access::Access;

/// `source "amazon-ebs"`
pub struct EbsBuilder;

/// Builds AMIs: starts an instance from an AMI, provisions it, stops it and makes an AMI of it.
pub struct EbsBuild {
    settings: Settings,
}

impl Component for EbsBuilder {
    const NAME: &'static str = "amazon-ebs";
    type Options = Options;
    type Ready = EbsBuild;

    fn schema(&self) -> Schema {
        schema()
    }

    fn prepare(
        &self,
        given: Decoded<'_, Options>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<EbsBuild>, ConfigErrors> {
        Ok(Settings::prepare(given, ctx)?.map(|settings| EbsBuild { settings }))
    }
}

#[async_trait]
impl Build for EbsBuild {
    async fn build(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let settings = self.settings.clone();
        let access = ctx.unless_cancelled(Access::open(&settings.raw.access, &ctx.ui)).await?;
        let steps = steps(&settings);
        let mut state = State::new(ctx, settings, access);
        if let Err(error) = run_steps(ctx, &steps, &mut state).await {
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
