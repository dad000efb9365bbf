//! `data "hcp-packer-version"`: the version that a channel points at.

use async_trait::async_trait;
use ingot_sdk::{Config, ConfigErrors, DataSource, PrepareContext, Prepared, Result, Schema, Ui};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::lookup::{By, moment, registry, require, version};

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Options {
    /// The bucket.
    bucket_name: String,
    /// The channel.
    channel_name: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Output {
    /// Who made the version.
    author_id: String,
    /// The bucket.
    bucket_name: String,
    /// The version's state.
    status: String,
    /// When it was opened.
    created_at: String,
    /// What its runs have in common.
    fingerprint: String,
    /// Its id.
    id: String,
    /// Its name, such as `v3`.
    name: String,
    /// When it was changed last.
    updated_at: String,
    /// The channel's id.
    channel_id: String,
}

/// Finds a version by a channel.
#[derive(Default)]
pub(super) struct VersionData {
    options: Options,
}

#[async_trait]
impl DataSource for VersionData {
    fn schema(&self) -> Schema {
        Schema::of::<Options>()
    }

    fn output(&self) -> Schema {
        Schema::of::<Output>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.options = config.decode()?;
        let mut errors = ConfigErrors::default();
        require(&mut errors, "bucket_name", &self.options.bucket_name);
        require(&mut errors, "channel_name", &self.options.channel_name);
        errors.into_result(Prepared::default())
    }

    async fn execute(&self, ui: &Ui) -> Result<serde_json::Value> {
        let Options { bucket_name, channel_name } = &self.options;
        let connected = registry(ui).await?;
        let found = version(&connected, bucket_name, By::Channel(channel_name)).await?;
        let version = found.version;
        Ok(json!({
            "author_id": version.author_id,
            "bucket_name": version.bucket_name,
            "status": version.status.as_str(),
            "created_at": moment(version.created_at),
            "fingerprint": version.fingerprint,
            "id": version.id,
            "name": version.name,
            "updated_at": moment(version.updated_at),
            "channel_id": found.channel_id,
        }))
    }
}
