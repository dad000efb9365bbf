//! `data "hcp-packer-version"`: the version that a channel points at.

use async_trait::async_trait;
use ingot_sdk::{
    Component, ConfigErrors, Decoded, Facts, Fetch, PrepareContext, Prepared, Result, Ui,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lookup::{By, moment, require, version};

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct Options {
    /// The bucket.
    bucket_name: String,
    /// The channel.
    channel_name: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
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

/// `data "hcp-packer-version"`
pub(super) struct VersionData;

/// Finds a version by a channel.
pub(super) struct FindVersion {
    options: Options,
}

impl Component for VersionData {
    const NAME: &'static str = "hcp-packer-version";
    type Options = Options;
    type Ready = FindVersion;

    fn facts(&self) -> Facts {
        Facts { reads_registry: true, ..Facts::default() }
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<FindVersion>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        require(&mut errors, "bucket_name", &options.bucket_name);
        require(&mut errors, "channel_name", &options.channel_name);
        errors.into_result(Prepared::new(FindVersion { options }))
    }
}

#[async_trait]
impl Fetch for FindVersion {
    type Output = Output;

    async fn fetch(&self, ui: &Ui) -> Result<Output> {
        let Options { bucket_name, channel_name } = &self.options;
        let found = version(ui, bucket_name, By::Channel(channel_name)).await?;
        let version = found.version;
        Ok(Output {
            author_id: version.author_id,
            bucket_name: version.bucket_name,
            status: version.status.as_str().to_owned(),
            created_at: moment(version.created_at),
            fingerprint: version.fingerprint,
            id: version.id,
            name: version.name,
            updated_at: moment(version.updated_at),
            channel_id: found.channel_id,
        })
    }
}
