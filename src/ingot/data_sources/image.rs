//! `data "hcp-packer-image"`: what `hcp-packer-artifact` was called before.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ingot_sdk::{Config, ConfigErrors, DataSource, PrepareContext, Prepared, Result, Schema, Ui};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::lookup::{By, Wanted, artifact, moment, registry, require, require_one, version};

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Options {
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

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Output {
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

/// Finds an image.
#[derive(Default)]
pub(super) struct ImageData {
    options: Options,
}

#[async_trait]
impl DataSource for ImageData {
    fn schema(&self) -> Schema {
        Schema::of::<Options>()
    }

    fn output(&self) -> Schema {
        Schema::of::<Output>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.options = config.decode()?;
        let Options { bucket_name, channel, iteration_id, cloud_provider, region, .. } =
            &self.options;
        let mut errors = ConfigErrors::default();
        require(&mut errors, "bucket_name", bucket_name);
        require(&mut errors, "cloud_provider", cloud_provider);
        require(&mut errors, "region", region);
        require_one(&mut errors, ("channel", channel), ("iteration_id", iteration_id));
        let old = "`hcp-packer-image` is deprecated: use `hcp-packer-artifact`";
        errors.into_result(Prepared { warnings: vec![old.into()], ..Prepared::default() })
    }

    async fn execute(&self, ui: &Ui) -> Result<serde_json::Value> {
        let Options { bucket_name, channel, iteration_id, cloud_provider, region, component_type } =
            &self.options;
        let connected = registry(ui).await?;
        let by = match iteration_id.as_str() {
            "" => By::Channel(channel),
            id => By::Id(id),
        };
        let found = version(&connected, bucket_name, by).await?;
        let wanted = Wanted { platform: cloud_provider, region, component: component_type };
        let (build, artifact) = artifact(ui, &found.version, &wanted)?;
        Ok(json!({
            "cloud_provider": build.platform,
            "component_type": build.component_type,
            "created_at": moment(artifact.created_at),
            "build_id": build.id,
            "iteration_id": build.version_id,
            "channel_id": found.channel_id,
            "packer_run_uuid": build.packer_run_uuid,
            "id": artifact.external_identifier,
            "region": artifact.region,
            "labels": build.labels,
        }))
    }
}
