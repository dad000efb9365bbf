//! Revocation: now or later, with what was built from a version or without, and back.

use std::slice;

use super::{Session, events};
use crate::registry::api::*;
use crate::registry::store::{RevocationRow, Tx, VersionRow};

impl Session {
    /// Revokes a version at a time, which may have passed. Its bucket must be locked.
    pub(super) async fn revoke(
        &self,
        tx: &mut Tx,
        row: &VersionRow,
        at: Timestamp,
        body: &UpdateVersionBody,
    ) -> Result<()> {
        if row.number.is_none() {
            return Err(Error::precondition("a version that is not complete cannot be revoked"));
        }
        if row.revocation.done {
            return Err(Error::precondition("the version is revoked already"));
        }
        let revocation = RevocationRow {
            at: at.max(row.created_at),
            done: false,
            message: body.revocation_message.clone(),
            author: self.caller.name.clone(),
            kind: RevocationType::Manual,
            from: None,
            rollback: !body.disable_rollback_channels,
            descendants: !body.skip_descendants_revocation,
        };
        // A schedule that is replaced takes those who inherited it along.
        self.forget_inherited(tx, row).await?;
        tx.set_revocation(&row.id, &revocation).await?;
        if revocation.descendants {
            for id in tx.descendants(&row.id).await? {
                inherit(tx, &row.id, &id, &revocation, false).await?;
            }
        }
        if at <= tx.now {
            carry_out(tx, &row.id).await?;
        }
        Ok(())
    }

    /// Makes a version valid again, and what inherited its revocation.
    pub(super) async fn restore(&self, tx: &mut Tx, row: &VersionRow) -> Result<()> {
        if !row.revocation.at.is_set() {
            return Err(Error::precondition("the version is not revoked"));
        }
        let mut restored = vec![row.id.clone()];
        restored.extend(tx.revoked_from(&row.id).await?);
        for row in tx.versions_by_id(&restored).await? {
            tx.lock_bucket_id(&row.bucket_id).await?;
            tx.set_revocation(&row.id, &RevocationRow::default()).await?;
            events::version(tx, events::RESTORED, &row.id, &self.caller.name).await?;
            events::move_latest(tx, &row.bucket_id, &self.caller.name).await?;
        }
        Ok(())
    }

    async fn forget_inherited(&self, tx: &mut Tx, row: &VersionRow) -> Result<()> {
        let ids = tx.revoked_from(&row.id).await?;
        for heir in tx.versions_by_id(&ids).await? {
            if !heir.revocation.done {
                tx.set_revocation(&heir.id, &RevocationRow::default()).await?;
            }
        }
        Ok(())
    }
}

/// Gives a version the revocation of an ancestor, unless it has one that is as early; whether it
/// has it now.
async fn inherit(
    tx: &mut Tx,
    ancestor: &str,
    id: &str,
    revocation: &RevocationRow,
    done: bool,
) -> Result<bool> {
    let rows = tx.versions_by_id(slice::from_ref(&id.to_owned())).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    let own = &row.revocation;
    let from_here = own.from.as_deref() == Some(ancestor);
    if own.done || (own.at.is_set() && own.at <= revocation.at && !from_here) {
        return Ok(false);
    }
    let inherited = RevocationRow {
        done,
        kind: RevocationType::Inherited,
        from: Some(ancestor.to_owned()),
        descendants: false,
        ..revocation.clone()
    };
    tx.set_revocation(id, &inherited).await?;
    Ok(true)
}

/// Carries a revocation out whose time has come: once, whoever else tries to. Whether it was this
/// one that did.
pub(super) async fn carry_out(tx: &mut Tx, id: &str) -> Result<bool> {
    let rows = tx.versions_by_id(slice::from_ref(&id.to_owned())).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    tx.lock_bucket_id(&row.bucket_id).await?;
    if !tx.claim_revocation(id).await? {
        return Ok(false);
    }
    let mut revoked = vec![id.to_owned()];
    if row.revocation.descendants {
        // Also what was built since the revocation was scheduled.
        for heir in tx.descendants(id).await? {
            if inherit(tx, id, &heir, &row.revocation, true).await? {
                revoked.push(heir);
            }
        }
    }
    let author = &row.revocation.author;
    for version in tx.versions_by_id(&revoked).await? {
        tx.lock_bucket_id(&version.bucket_id).await?;
        events::version(tx, events::REVOKED, &version.id, author).await?;
        tx.touch_bucket(&version.bucket_id).await?;
        for channel in tx.channels_of_version(&version.id).await? {
            if channel.managed {
                events::move_latest(tx, &version.bucket_id, author).await?;
            } else if row.revocation.rollback {
                let back = tx.last_valid(&channel.id).await?;
                events::assign(tx, &channel, back.as_deref(), author).await?;
            }
        }
    }
    Ok(true)
}
