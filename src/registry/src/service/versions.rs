//! Versions.

use std::slice;

use super::revocation::settle;
use super::view::Detail;
use super::{Session, events, no_version, page, rules};
use crate::api::*;
use crate::store::{Role, Tx, VersionRow, transaction};

/// What the audit log calls it: revoking a version, at once or later.
pub const REVOKE: &str = "revoke version";
/// Making a revoked version valid again, as far as it does not inherit another revocation.
pub const RESTORE: &str = "restore version";
/// Calling a revocation off that is to come.
pub const CANCEL_REVOCATION: &str = "cancel scheduled revocation";

impl Session {
    pub(super) async fn find_version(
        &self,
        tx: &mut Tx,
        bucket: &str,
        fingerprint: &str,
    ) -> Result<VersionRow> {
        let bucket_id = self.bucket_id(tx, bucket).await?;
        let version = tx.version(&bucket_id, fingerprint).await?;
        version.ok_or_else(|| no_version(bucket, fingerprint))
    }

    pub(super) async fn see_version(&self, tx: &mut Tx, row: VersionRow) -> Result<Version> {
        let mut seen = self.see_versions(tx, vec![row], Detail::Metadata).await?;
        seen.pop().ok_or_else(|| Error::not_found("there is no such version"))
    }

    pub(super) async fn version_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        fingerprint: &str,
    ) -> Result<Version> {
        let row = self.find_version(tx, bucket, fingerprint).await?;
        self.see_version(tx, row).await
    }

    pub(super) async fn version_by_id_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        id: &str,
    ) -> Result<Version> {
        let bucket_id = self.bucket_id(tx, bucket).await?;
        let rows = tx.versions_by_id(slice::from_ref(&id.to_owned())).await?;
        let row = rows.into_iter().find(|row| row.bucket_id == bucket_id);
        let row = row.ok_or_else(|| {
            let (bucket, id) = (rules::quoted(bucket), rules::quoted(id));
            Error::not_found(format!("bucket {bucket} has no version with the id {id}"))
        })?;
        self.see_version(tx, row).await
    }

    pub(super) async fn versions_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        page: &Page,
    ) -> Result<ListVersionsResponse> {
        let bucket_id = self.bucket_id(tx, bucket).await?;
        let mut keys = page::keys(page)?;
        let rows = tx.versions(&bucket_id, &keys).await?;
        page::fit(tx, &rows, &mut keys, |row| (1500, Some(&row.id))).await?;
        let (rows, pagination) = page::cut(rows, &keys, VersionRow::key);
        let versions = self.see_versions(tx, rows, Detail::Builds).await?;
        Ok(ListVersionsResponse { versions, pagination: Some(pagination) })
    }

    pub(super) async fn create_version_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        body: &CreateVersionBody,
    ) -> Result<Version> {
        rules::fingerprint(&body.fingerprint)?;
        let bucket_id = self.lock(tx, bucket).await?;
        if tx.version(&bucket_id, &body.fingerprint).await?.is_some() {
            let (bucket, print) = (rules::quoted(bucket), rules::quoted(&body.fingerprint));
            return Err(Error::new(
                Code::AlreadyExists,
                format!("bucket {bucket} has a version with the fingerprint {print} already"),
            ));
        }
        let name = &self.caller.name;
        tx.insert_version(&bucket_id, &body.fingerprint, body.template_type, name).await?;
        self.audit(tx, "create version", format!("{bucket}/{}", body.fingerprint)).await?;
        self.version_in(tx, bucket, &body.fingerprint).await
    }

    pub(super) async fn update_version_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        fingerprint: &str,
        body: &UpdateVersionBody,
    ) -> Result<Version> {
        rules::message(&body.revocation_message)?;
        let revokes = body.revoke_at.is_set() || !body.revoke_in.is_empty();
        match (body.complete, revokes, body.restore) {
            (true, false, false) | (false, true, false) | (false, false, true) => {}
            _ => {
                return Err(Error::invalid(
                    "say one of complete, revoke_at or revoke_in, and restore",
                ));
            }
        }
        self.lock(tx, bucket).await?;
        let row = self.find_version(tx, bucket, fingerprint).await?;
        let target = format!("{bucket}/{fingerprint}");
        if body.complete {
            if row.number.is_none() && !self.complete_if_done(tx, &row).await? {
                let builds = tx.builds(slice::from_ref(&row.id), false).await?;
                return Err(Error::precondition(match builds.is_empty() {
                    true => {
                        "the version cannot be completed: it has no builds; record one with \
                         `ingot registry artifacts create`"
                    }
                    false => "the version cannot be completed: not all of its builds are done",
                }));
            }
            self.audit(tx, "complete version", target).await?;
        } else if body.restore {
            let revoked = row.revocation.done || row.revocation.at <= tx.now;
            self.restore(tx, &row).await?;
            let action = if revoked { RESTORE } else { CANCEL_REVOCATION };
            self.audit(tx, action, target).await?;
        } else {
            let at = match (body.revoke_at.is_set(), body.revoke_in.as_str()) {
                (true, "") => body.revoke_at,
                (false, duration) => {
                    let micros = rules::revoke_in(duration)?.as_micros();
                    let now = tx.now.micros().unwrap_or_default();
                    Timestamp::from_micros(Some(now.saturating_add(micros as i64)))
                }
                _ => return Err(Error::invalid("say revoke_at or revoke_in, not both")),
            };
            self.revoke(tx, &row, at, body).await?;
            self.audit(tx, REVOKE, format!("{target} at {at}")).await?;
        }
        self.version_in(tx, bucket, fingerprint).await
    }

    /// Completes a version if all its builds are done; whether they are. The bucket must be
    /// locked.
    pub(super) async fn complete_if_done(&self, tx: &mut Tx, row: &VersionRow) -> Result<bool> {
        let builds = tx.builds(slice::from_ref(&row.id), false).await?;
        let done = builds.iter().all(|build| build.status == BuildStatus::Done);
        if builds.is_empty() || !done {
            return Ok(false);
        }
        if row.number.is_some() {
            return Ok(true);
        }
        tx.complete_version(&row.bucket_id, &row.id).await?;
        tx.touch_buckets(slice::from_ref(&row.bucket_id)).await?;
        let author = &self.caller.name;
        events::version(tx, events::COMPLETED, &row.id, author).await?;
        // What it was built from may have been revoked while it was built.
        tx.hold_ancestors(&row.id).await?;
        settle(tx, &row.id, &row.bucket_id, author).await?;
        events::move_latest(tx, &row.bucket_id, author).await?;
        Ok(true)
    }

    pub(super) async fn delete_version_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        fingerprint: &str,
        rollback: bool,
    ) -> Result<()> {
        let bucket_id = self.lock(tx, bucket).await?;
        let row = self.find_version(tx, bucket, fingerprint).await?;
        let author = &self.caller.name;
        let mut channels = tx.channels_of_versions(slice::from_ref(&row.id)).await?;
        for channel in channels.remove(&row.id).unwrap_or_default() {
            match (channel.managed, rollback) {
                (true, _) => tx.assign(&channel.id, None, author).await?,
                (false, true) => {
                    // As if it were revoked.
                    let back = tx.last_valid_if_revoked(&channel.id, &row.id).await?;
                    events::assign(tx, &channel, back.as_deref(), author).await?;
                }
                (false, false) => {
                    let name = rules::quoted(&channel.name);
                    return Err(Error::precondition(format!(
                        "the version cannot be removed: the channel {name} points at it"
                    )));
                }
            }
        }
        tx.delete_version(&row.id).await?;
        events::move_latest(tx, &bucket_id, &self.caller.name).await?;
        self.audit(tx, "delete version", format!("{bucket}/{fingerprint}")).await
    }

    /// Removes a version. Channels that point at it go back to the last valid version before it.
    ///
    /// # Errors
    /// As of [`Registry::delete_version`](crate::client::Registry::delete_version), but for channels.
    pub async fn delete_version_and_roll_back(
        &self,
        bucket: &str,
        fingerprint: &str,
    ) -> Result<()> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.delete_version_in(tx, bucket, fingerprint, true))
    }
}

/// What older clients name by ids and numbers.
impl Session {
    /// The bucket and fingerprint of a version by its id.
    ///
    /// # Errors
    /// The project has no such version.
    pub async fn locate_version(&self, id: &str) -> Result<(String, String)> {
        self.need(Role::Viewer)?;
        let mut tx = self.store.read().await?;
        let rows = tx.versions_by_id(slice::from_ref(&id.to_owned())).await?;
        let row = rows.into_iter().find(|row| row.project_id == self.project_id());
        let missing = || {
            let id = rules::quoted(id);
            Error::not_found(format!("there is no version with the id {id}"))
        };
        let row = row.ok_or_else(missing)?;
        Ok((row.bucket_name, row.fingerprint))
    }

    /// The bucket and fingerprint of the version of a build by the build's id.
    ///
    /// # Errors
    /// The project has no such build.
    pub async fn locate_build(&self, id: &str) -> Result<(String, String)> {
        self.need(Role::Viewer)?;
        let version = self.store.read().await?.version_of_build(self.project_id(), id).await?;
        let missing = || {
            let id = rules::quoted(id);
            Error::not_found(format!("there is no build with the id {id}"))
        };
        self.locate_version(&version.ok_or_else(missing)?).await
    }

    /// The fingerprint of a bucket's version by its number.
    ///
    /// # Errors
    /// The bucket has no such version.
    pub async fn fingerprint_of(&self, bucket: &str, number: i64) -> Result<String> {
        self.need(Role::Viewer)?;
        let mut tx = self.store.read().await?;
        let bucket_id = self.bucket_id(&mut tx, bucket).await?;
        let fingerprint = tx.fingerprint_of(&bucket_id, number).await?;
        fingerprint.ok_or_else(|| {
            let bucket = rules::quoted(bucket);
            Error::not_found(format!("bucket {bucket} has no version v{number}"))
        })
    }
}
