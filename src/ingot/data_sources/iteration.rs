//! `data "hcp-packer-iteration"`: what `hcp-packer-version` was called before.

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
    channel: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Output {
    /// Who made the version.
    author_id: String,
    /// The bucket.
    bucket_name: String,
    /// Whether all its builds are there: always.
    complete: bool,
    /// When it was opened.
    created_at: String,
    /// What its runs have in common.
    fingerprint: String,
    /// Its id.
    id: String,
    /// The number in its name.
    incremental_version: u32,
    /// When it was changed last.
    updated_at: String,
    /// The channel's id.
    channel_id: String,
}

/// Finds a version by a channel.
#[derive(Default)]
pub(super) struct IterationData {
    options: Options,
}

#[async_trait]
impl DataSource for IterationData {
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
        require(&mut errors, "channel", &self.options.channel);
        let old = "`hcp-packer-iteration` is deprecated: use `hcp-packer-version`";
        errors.into_result(Prepared { warnings: vec![old.into()], ..Prepared::default() })
    }

    async fn execute(&self, ui: &Ui) -> Result<serde_json::Value> {
        let Options { bucket_name, channel } = &self.options;
        let connected = registry(ui).await?;
        let found = version(&connected, bucket_name, By::Channel(channel)).await?;
        let version = found.version;
        let number: u32 = version.name.trim_start_matches('v').parse().unwrap_or(0);
        Ok(json!({
            "author_id": version.author_id,
            "bucket_name": version.bucket_name,
            "complete": true,
            "created_at": moment(version.created_at),
            "fingerprint": version.fingerprint,
            "id": version.id,
            "incremental_version": number,
            "updated_at": moment(version.updated_at),
            "channel_id": found.channel_id,
        }))
    }
}
