//! The builders.

use std::sync::Arc;

use ingot_sdk::{
    Artifact, Build, CachedStates, Component, ConfigErrors, Decoded, Facts, PrepareContext,
    Prepared, Result, RunContext, Schema, async_trait, run_steps,
};

use super::artifact::{AmiArtifact, EBS_ID, SURROGATE_ID};
use super::choices::Product;
use super::options::{
    Options, SurrogateOptions, VolumeOptions, schema, surrogate_schema, volume_schema,
};
use super::settings::Settings;
use super::steps::{State, steps};
use super::volume_artifact::VolumeArtifact;
use crate::access::Access;

/// `source "amazon-ebs"`
pub struct EbsBuilder;

/// `source "amazon-ebssurrogate"`
pub struct EbsSurrogateBuilder;

/// `source "amazon-ebsvolume"`
pub struct EbsVolumeBuilder;

/// Starts an instance from an AMI and provisions it. Of it, or of its volumes, comes what is made.
pub struct EbsBuild {
    settings: Settings,
}

impl Component for EbsBuilder {
    const NAME: &'static str = "amazon-ebs";
    type Options = Options;
    type Ready = EbsBuild;

    fn facts(&self) -> Facts {
        let states = CachedStates {
            cost: Some(
                "AWS takes money for the states of amazon-ebs, which are AMIs; cache { amazon = true } \
                 in the companion file turns them on",
            ),
            last_unkept: Some(
                "the AMI is made of the instance as the last step leaves it, before it starts again",
            ),
        };
        Facts { states: Some(states), ..Facts::default() }
    }

    fn schema(&self) -> Schema {
        schema()
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<EbsBuild>, ConfigErrors> {
        prepared(options, Product::Image, ctx)
    }
}

impl Component for EbsSurrogateBuilder {
    const NAME: &'static str = "amazon-ebssurrogate";
    type Options = SurrogateOptions;
    type Ready = EbsBuild;

    fn schema(&self) -> Schema {
        surrogate_schema()
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, SurrogateOptions>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<EbsBuild>, ConfigErrors> {
        prepared(options.base, Product::Surrogate(Box::new(options.own)), ctx)
    }
}

impl Component for EbsVolumeBuilder {
    const NAME: &'static str = "amazon-ebsvolume";
    type Options = VolumeOptions;
    type Ready = EbsBuild;

    fn schema(&self) -> Schema {
        volume_schema()
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, VolumeOptions>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<EbsBuild>, ConfigErrors> {
        let (options, volumes) = options.split();
        prepared(options, Product::Volumes(volumes), ctx)
    }
}

fn prepared(
    options: Options,
    product: Product,
    ctx: &PrepareContext,
) -> Result<Prepared<EbsBuild>, ConfigErrors> {
    Ok(Settings::prepare(options, product, ctx)?.map(|settings| EbsBuild { settings }))
}

#[async_trait]
impl Build for EbsBuild {
    async fn build(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let settings = self.settings.clone();
        let access = ctx.unless_cancelled(Access::open(&settings.raw.access, &ctx.ui)).await?;
        let steps = steps(&settings, ctx.kept_machine("the instance")?);
        let mut state = State::new(ctx, settings, access);
        if let Err(error) = run_steps(ctx, &steps, &mut state).await {
            return Err(state.access.explain(error).await);
        }
        let builder_id = match state.settings.product {
            Product::Image => EBS_ID,
            Product::Surrogate(_) => SURROGATE_ID,
            Product::Volumes(_) => {
                let artifact = VolumeArtifact {
                    resources: state.volume_resources(),
                    access: state.access,
                    volumes: state.created_volumes,
                    snapshots: state.finished_snapshots,
                    data: state.data,
                };
                ctx.ui.say(format!("Created Volumes: {}", artifact.description()));
                return Ok(Some(Arc::new(artifact)));
            }
        };
        if state.images.is_empty() {
            return Ok(None);
        }
        let resources = state.image_resources();
        let images = state.images.iter().map(|(region, image)| (region.clone(), image.id.clone()));
        Ok(Some(Arc::new(AmiArtifact {
            builder_id,
            images: images.collect(),
            kept: state.settings.own_snapshots(),
            resources,
            access: state.access,
            data: state.data,
        })))
    }
}
