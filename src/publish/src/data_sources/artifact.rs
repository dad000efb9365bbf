//! `data "hcp-packer-artifact"`: an image of a version.

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
    /// The channel that says which version; this or `version_fingerprint`.
    #[serde(default)]
    channel_name: String,
    /// The version's fingerprint; this or `channel_name`.
    #[serde(default)]
    version_fingerprint: String,
    /// The platform that the image is for, such as `docker` or `aws`.
    platform: String,
    /// The region that it is in.
    region: String,
    /// The build that made it, as TYPE.NAME; any unless it is set.
    #[serde(default)]
    component_type: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The platform that the image is for.
    platform: String,
    /// The build that made it, as TYPE.NAME.
    component_type: String,
    /// When it was published.
    created_at: String,
    /// The build's id.
    build_id: String,
    /// The version's id.
    version_id: String,
    /// The channel's id; empty for a version that was named by its fingerprint.
    channel_id: String,
    /// The id of the run that made it.
    packer_run_uuid: String,
    /// What names the image on its platform.
    external_identifier: String,
    /// The region that it is in.
    region: String,
    /// The build's labels.
    labels: BTreeMap<String, String>,
}

/// `data "hcp-packer-artifact"`
pub(super) struct ArtifactData;

/// Finds an image.
pub(super) struct FindArtifact {
    options: Options,
}

impl Component for ArtifactData {
    const NAME: &'static str = "hcp-packer-artifact";
    type Options = Options;
    type Ready = FindArtifact;

    fn facts(&self) -> Facts {
        Facts { reads_registry: true, ..Facts::default() }
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<FindArtifact>, ConfigErrors> {
        let Options { bucket_name, channel_name, version_fingerprint, platform, region, .. } =
            &options;
        let mut errors = ConfigErrors::default();
        require(&mut errors, "bucket_name", bucket_name);
        require(&mut errors, "platform", platform);
        require(&mut errors, "region", region);
        let fingerprint = ("version_fingerprint", version_fingerprint.as_str());
        require_one(&mut errors, ("channel_name", channel_name), fingerprint);
        errors.into_result(Prepared::new(FindArtifact { options }))
    }
}

#[async_trait]
impl Fetch for FindArtifact {
    type Output = Output;

    async fn fetch(&self, ui: &Ui) -> Result<Output> {
        let Options {
            bucket_name,
            channel_name,
            version_fingerprint,
            platform,
            region,
            component_type,
        } = &self.options;
        let by = match version_fingerprint.as_str() {
            "" => By::Channel(channel_name),
            fingerprint => By::Fingerprint(fingerprint),
        };
        let found = version(ui, bucket_name, by).await?;
        let query = ArtifactQuery { platform, region, component: component_type };
        let (build, artifact) = artifact(ui, &found.version, &query)?;
        Ok(Output {
            platform: build.platform.clone(),
            component_type: build.component_type.clone(),
            created_at: moment(artifact.created_at),
            build_id: build.id.clone(),
            version_id: build.version_id.clone(),
            channel_id: found.channel_id,
            packer_run_uuid: build.packer_run_uuid.clone(),
            external_identifier: artifact.external_identifier.clone(),
            region: artifact.region.clone(),
            labels: build.labels.clone(),
        })
    }
}
