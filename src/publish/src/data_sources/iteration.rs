//! `data "hcp-packer-iteration"`: what `hcp-packer-version` was called before.

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
    channel: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
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

/// `data "hcp-packer-iteration"`
pub(super) struct IterationData;

/// Finds a version by a channel.
pub(super) struct FindIteration {
    options: Options,
}

impl Component for IterationData {
    const NAME: &'static str = "hcp-packer-iteration";
    type Options = Options;
    type Ready = FindIteration;

    fn facts(&self) -> Facts {
        Facts { reads_registry: true, ..Facts::default() }
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<FindIteration>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        require(&mut errors, "bucket_name", &options.bucket_name);
        require(&mut errors, "channel", &options.channel);
        let old = "`hcp-packer-iteration` is deprecated: use `hcp-packer-version`";
        let prepared = Prepared { warnings: vec![old.into()], ..Prepared::default() };
        prepared.with(FindIteration { options }).or_errors(errors)
    }
}

#[async_trait]
impl Fetch for FindIteration {
    type Output = Output;

    async fn fetch(&self, ui: &Ui) -> Result<Output> {
        let Options { bucket_name, channel } = &self.options;
        let found = version(ui, bucket_name, By::Channel(channel)).await?;
        let version = found.version;
        let number: u32 = version.name.trim_start_matches('v').parse().unwrap_or(0);
        Ok(Output {
            author_id: version.author_id,
            bucket_name: version.bucket_name,
            complete: true,
            created_at: moment(version.created_at),
            fingerprint: version.fingerprint,
            id: version.id,
            incremental_version: number,
            updated_at: moment(version.updated_at),
            channel_id: found.channel_id,
        })
    }
}
