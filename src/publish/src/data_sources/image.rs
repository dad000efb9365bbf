//! `data "hcp-packer-image"`: what `hcp-packer-artifact` was called before.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ingot_sdk::{
    Component, ConfigErrors, Decoded, Facts, Fetch, PrepareContext, Prepared, Result, Ui,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lookup::{ArtifactQuery, By, artifact, moment, require, require_one, version};

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct Options {
    /// The bucket.
    bucket_name: String,
    /// The channel that says which version; this or `iteration_id`.
    #[serde(default)]
    channel: String,
    /// The version's id; this or `channel`.
    #[serde(default)]
    iteration_id: String,
    /// The platform that the image is for, such as `docker` or `aws`.
    cloud_provider: String,
    /// The region that it is in.
    region: String,
    /// The build that made it, as TYPE.NAME; any unless it is set.
    #[serde(default)]
    component_type: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The platform that the image is for.
    cloud_provider: String,
    /// The build that made it, as TYPE.NAME.
    component_type: String,
    /// When it was published.
    created_at: String,
    /// The build's id.
    build_id: String,
    /// The version's id.
    iteration_id: String,
    /// The channel's id; empty for a version that was named by its id.
    channel_id: String,
    /// The id of the run that made it.
    packer_run_uuid: String,
    /// What names the image on its platform.
    id: String,
    /// The region that it is in.
    region: String,
    /// The build's labels.
    labels: BTreeMap<String, String>,
}

/// `data "hcp-packer-image"`
pub(super) struct ImageData;

/// Finds an image.
pub(super) struct FindImage {
    options: Options,
}

impl Component for ImageData {
    const NAME: &'static str = "hcp-packer-image";
    type Options = Options;
    type Ready = FindImage;

    fn facts(&self) -> Facts {
        Facts { reads_registry: true, ..Facts::default() }
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<FindImage>, ConfigErrors> {
        let Options { bucket_name, channel, iteration_id, cloud_provider, region, .. } = &options;
        let mut errors = ConfigErrors::default();
        require(&mut errors, "bucket_name", bucket_name);
        require(&mut errors, "cloud_provider", cloud_provider);
        require(&mut errors, "region", region);
        require_one(&mut errors, ("channel", channel), ("iteration_id", iteration_id));
        let old = "`hcp-packer-image` is deprecated: use `hcp-packer-artifact`";
        let prepared = Prepared { warnings: vec![old.into()], ..Prepared::default() };
        prepared.with(FindImage { options }).or_errors(errors)
    }
}

#[async_trait]
impl Fetch for FindImage {
    type Output = Output;

    async fn fetch(&self, ui: &Ui) -> Result<Output> {
        let Options { bucket_name, channel, iteration_id, cloud_provider, region, component_type } =
            &self.options;
        let by = match iteration_id.as_str() {
            "" => By::Channel(channel),
            id => By::Id(id),
        };
        let found = version(ui, bucket_name, by).await?;
        let query = ArtifactQuery { platform: cloud_provider, region, component: component_type };
        let (build, artifact) = artifact(ui, &found.version, &query)?;
        Ok(Output {
            cloud_provider: build.platform.clone(),
            component_type: build.component_type.clone(),
            created_at: moment(artifact.created_at),
            build_id: build.id.clone(),
            iteration_id: build.version_id.clone(),
            channel_id: found.channel_id,
            packer_run_uuid: build.packer_run_uuid.clone(),
            id: artifact.external_identifier.clone(),
            region: artifact.region.clone(),
            labels: build.labels.clone(),
        })
    }
}
