//! Channels.

use std::collections::BTreeSet;

use super::view::Detail;
use super::{Session, events, no_channel, no_version, page, rules};
use crate::api::*;
use crate::store::{ChannelRow, Tx};

/// How many channels a bucket may have: a list of them has no pages.
const CHANNELS: i64 = 1000;

/// What of a channel may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChannelField {
    Version,
    Restricted,
}

/// What an `update_mask` of a channel may name.
const FIELDS: &[(&str, ChannelField)] = &[
    ("versionFingerprint", ChannelField::Version),
    ("version_fingerprint", ChannelField::Version),
    ("restricted", ChannelField::Restricted),
];

/// What the audit log calls it.
pub const CREATE_CHANNEL: &str = "create channel";

impl Session {
    /// A channel of a bucket that the caller may see.
    pub(super) async fn find_channel(
        &self,
        tx: &mut Tx,
        bucket: &str,
        bucket_id: &str,
        name: &str,
    ) -> Result<ChannelRow> {
        let row = tx.channel(bucket_id, name).await?.ok_or_else(|| no_channel(bucket, name))?;
        match self.may_see(&row) {
            true => Ok(row),
            false => Err(Error::new(
                Code::PermissionDenied,
                format!("the channel {} is restricted", rules::quoted(name)),
            )),
        }
    }

    pub(super) fn may_see(&self, channel: &ChannelRow) -> bool {
        !channel.restricted || self.sees_all()
    }

    async fn see_channel(&self, tx: &mut Tx, bucket: &str, row: ChannelRow) -> Result<Channel> {
        let name = row.name.clone();
        let mut seen = self.see_channels(tx, bucket, vec![row], &BTreeSet::new()).await?;
        seen.pop().ok_or_else(|| no_channel(bucket, &name))
    }

    pub(super) async fn channel_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        name: &str,
    ) -> Result<Channel> {
        let bucket_id = self.bucket_id(tx, bucket).await?;
        let row = self.find_channel(tx, bucket, &bucket_id, name).await?;
        self.see_channel(tx, bucket, row).await
    }

    pub(super) async fn channels_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
    ) -> Result<ListChannelsResponse> {
        let bucket_id = self.bucket_id(tx, bucket).await?;
        let mut rows = tx.channels(&bucket_id).await?;
        rows.retain(|row| self.may_see(row));
        // The API has no pages of this list. Versions of which there is no room for all come without
        // their builds; each channel by itself has them.
        let ids: BTreeSet<&String> =
            rows.iter().filter_map(|row| row.version_id.as_ref()).collect();
        let sizes = tx.version_sizes(&ids.into_iter().cloned().collect::<Vec<_>>(), false).await?;
        let mut bytes = 0;
        let mut short = BTreeSet::new();
        for row in &rows {
            let Some(id) = &row.version_id else { continue };
            let size = sizes.get(id).copied().unwrap_or_default();
            match bytes + size <= page::BYTES && !short.contains(id) {
                true => bytes += size,
                false => drop(short.insert(id.clone())),
            }
        }
        Ok(ListChannelsResponse { channels: self.see_channels(tx, bucket, rows, &short).await? })
    }

    pub(super) async fn create_channel_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        body: &CreateChannelBody,
    ) -> Result<Channel> {
        rules::channel_name(&body.name)?;
        let bucket_id = self.lock(tx, bucket).await?;
        if tx.channel(&bucket_id, &body.name).await?.is_some() {
            let (bucket, name) = (rules::quoted(bucket), rules::quoted(&body.name));
            return Err(Error::new(
                Code::AlreadyExists,
                format!("bucket {bucket} has a channel {name} already"),
            ));
        }
        if tx.count_channels(&bucket_id).await? >= CHANNELS {
            return Err(Error::precondition(format!(
                "a bucket must not have more than {CHANNELS} channels"
            )));
        }
        let author = &self.caller.name;
        let row = tx.insert_channel(&bucket_id, &body.name, false, body.restricted, author).await?;
        self.audit(tx, CREATE_CHANNEL, format!("{bucket}/{}", body.name)).await?;
        if !body.version_fingerprint.is_empty() {
            self.assign(tx, bucket, &row, &body.version_fingerprint).await?;
        }
        self.channel_in(tx, bucket, &body.name).await
    }

    pub(super) async fn update_channel_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        name: &str,
        body: &UpdateChannelBody,
    ) -> Result<Channel> {
        let bucket_id = self.lock(tx, bucket).await?;
        let row = self.find_channel(tx, bucket, &bucket_id, name).await?;
        for field in rules::update_mask(&body.update_mask, "a channel", FIELDS)? {
            match field {
                ChannelField::Version if row.managed => {
                    return Err(Error::precondition(format!(
                        "the channel {} is managed by the registry: it points at the newest valid \
                         version",
                        rules::quoted(name)
                    )));
                }
                ChannelField::Version => {
                    self.assign(tx, bucket, &row, &body.version_fingerprint).await?;
                }
                // Who may read a managed channel is not the registry's to say: Terraform's provider
                // adopts `latest` and sets it.
                ChannelField::Restricted => {
                    tx.restrict(&row.id, body.restricted, &self.caller.name).await?;
                    let target = format!("{bucket}/{name} {}", body.restricted);
                    self.audit(tx, "restrict channel", target).await?;
                }
            }
        }
        self.channel_in(tx, bucket, name).await
    }

    /// Points a channel at the version of a fingerprint; nowhere if that is empty.
    async fn assign(
        &self,
        tx: &mut Tx,
        bucket: &str,
        channel: &ChannelRow,
        fingerprint: &str,
    ) -> Result<()> {
        let version = match fingerprint {
            "" => None,
            fingerprint => {
                let version = tx.version(&channel.bucket_id, fingerprint).await?;
                let version = version.ok_or_else(|| no_version(bucket, fingerprint))?;
                let shown = rules::quoted(fingerprint);
                if version.number.is_none() {
                    return Err(Error::precondition(format!(
                        "the version {shown} is not complete and cannot be assigned to a channel"
                    )));
                }
                if version.revocation.done
                    || version.revocation.at.is_set() && version.revocation.at <= tx.now
                {
                    return Err(Error::precondition(format!(
                        "the version {shown} is revoked and cannot be assigned to a channel"
                    )));
                }
                Some(version.id)
            }
        };
        if version == channel.version_id {
            return Ok(());
        }
        events::assign(tx, channel, version.as_deref(), &self.caller.name).await?;
        let target = format!("{bucket}/{} {fingerprint}", channel.name);
        self.audit(tx, "assign channel", target).await
    }

    pub(super) async fn assign_channel_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        body: &AssignChannelVersionBody,
    ) -> Result<AssignChannelVersionResponse> {
        self.lock(tx, bucket).await?;
        let source = self.channel_in(tx, bucket, &body.source_channel).await?;
        let version = source.version.clone().ok_or_else(|| {
            Error::precondition(format!(
                "the channel {} has no version",
                rules::quoted(&body.source_channel)
            ))
        })?;
        let change = UpdateChannelBody {
            update_mask: "versionFingerprint".into(),
            version_fingerprint: version.fingerprint.clone(),
            ..UpdateChannelBody::default()
        };
        let target = self.update_channel_in(tx, bucket, &body.target_channel, &change).await?;
        Ok(AssignChannelVersionResponse {
            fingerprint: version.fingerprint.clone(),
            source_channel: Some(source),
            target_channel: Some(target),
            version: Some(version),
        })
    }

    pub(super) async fn history_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        name: &str,
        page: &Page,
    ) -> Result<ListChannelAssignmentHistoryResponse> {
        let bucket_id = self.bucket_id(tx, bucket).await?;
        let channel = self.find_channel(tx, bucket, &bucket_id, name).await?;
        let mut keys = page::keys(page)?;
        let rows = tx.assignments(&channel.id, &keys).await?;
        page::fit(tx, &rows, &mut keys, |row| (1500, row.version_id.as_ref())).await?;
        let (rows, pagination) = page::cut(rows, &keys, |row| row.number.to_string());
        let ids = rows.iter().filter_map(|row| row.version_id.as_ref());
        let versions = self.see_versions_by_id(tx, ids, Detail::Builds).await?;
        let count = tx.count_assignments(&channel.id).await?;
        let history = rows.into_iter().map(|row| ChannelAssignment {
            assigned_at: row.assigned_at,
            author_id: row.author,
            version: row.version_id.and_then(|id| versions.get(&id)).cloned(),
        });
        Ok(ListChannelAssignmentHistoryResponse {
            history: history.collect(),
            count: i32::try_from(count).unwrap_or(i32::MAX),
            pagination: Some(pagination),
        })
    }

    pub(super) async fn delete_channel_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        name: &str,
    ) -> Result<()> {
        let bucket_id = self.lock(tx, bucket).await?;
        let row = self.find_channel(tx, bucket, &bucket_id, name).await?;
        if row.managed {
            return Err(Error::precondition(format!(
                "the channel {} is managed by the registry",
                rules::quoted(name)
            )));
        }
        tx.delete_channel(&row.id).await?;
        self.audit(tx, "delete channel", format!("{bucket}/{name}")).await
    }
}
