//! Revocation: now or later, with what was built from a version or without, and back.
//!
//! A version may be revoked by itself and by any of its ancestors. All of that is kept; what holds
//! for a version is made of it anew whenever it changes, by [`settle`].

use std::collections::{BTreeSet, HashMap};

use super::{Session, events};
use crate::api::*;
use crate::store::{AuditRow, Relative, RevocationRow, Tx, VersionRow, Webhook};

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
        let own = tx.own_revocation(&row.id).await?;
        if own.is_set() && own <= tx.now {
            return Err(Error::precondition("the version is revoked already"));
        }
        let revocation = RevocationRow {
            // Now is now, also if the version was created by a server whose clock is ahead.
            at: if at <= tx.now { at.max(row.created_at).min(tx.now) } else { at },
            message: body.revocation_message.clone(),
            author: self.caller.name.clone(),
            rollback: !body.disable_rollback_channels,
            descendants: !body.skip_descendants_revocation,
            ..RevocationRow::default()
        };
        tx.put_revocation(&row.id, &revocation).await?;
        settle(tx, &row.id, &row.bucket_id, &self.caller.name).await?;
        Ok(())
    }

    /// Takes back that a version was revoked; if it only inherited it, it does not any more. What
    /// it was built from may still be revoked, and then it stays so until it is restored once more.
    pub(super) async fn restore(&self, tx: &mut Tx, row: &VersionRow) -> Result<()> {
        if !row.revocation.at.is_set() {
            return Err(Error::precondition("the version is not revoked"));
        }
        if !tx.drop_revocation(&row.id).await? {
            tx.pardon(&row.id).await?;
        }
        settle(tx, &row.id, &row.bucket_id, &self.caller.name).await?;
        Ok(())
    }
}

/// Derives the state of a version and its descendants from their revocations, and carries out the
/// consequences: channels roll back and events are written. Returns whether this revoked any of them.
/// `caller` is who restores.
pub(super) async fn settle(tx: &mut Tx, id: &str, bucket: &str, caller: &str) -> Result<bool> {
    tx.lock_bucket_id(bucket).await?;
    tx.lock_family(id).await?;
    let mut claims: HashMap<String, Vec<RevocationRow>> = HashMap::new();
    for claim in tx.claims(id).await? {
        claims.entry(claim.heir).or_default().push(claim.revocation);
    }
    let mut changes: HashMap<RevocationRow, Vec<Relative>> = HashMap::new();
    for relative in tx.family(id).await? {
        let claims = claims.remove(&relative.id).unwrap_or_default();
        let holds = strongest(claims, &relative.revocation, tx.now);
        if holds != relative.revocation {
            changes.entry(holds).or_default().push(relative);
        }
    }
    // All of them before channels look for a valid version.
    for (holds, relatives) in &changes {
        let ids: Vec<String> = relatives.iter().map(|it| it.id.clone()).collect();
        tx.set_revocation(&ids, holds).await?;
    }
    // What there may be thousands of is asked for at once: the buckets of all of them are locked.
    let hooks = match changes.is_empty() {
        true => Vec::new(),
        false => tx.webhooks_of_bucket(bucket).await?,
    };
    let mut revoked = false;
    for (holds, relatives) in changes {
        let buckets: BTreeSet<String> = relatives.iter().map(|it| it.bucket_id.clone()).collect();
        tx.touch_buckets(&buckets.into_iter().collect::<Vec<_>>()).await?;
        let (done, others): (Vec<&Relative>, Vec<&Relative>) =
            relatives.iter().partition(|it| it.revocation.done);
        if holds.done {
            revoked |= !others.is_empty();
            be_revoked(tx, &hooks, &others, &holds).await?;
            continue;
        }
        if !holds.at.is_set() {
            for relative in &relatives {
                events::version_to(tx, &hooks, events::RESTORED, &relative.id, caller).await?;
            }
        }
        let buckets: BTreeSet<&String> = done.into_iter().map(|it| &it.bucket_id).collect();
        for bucket in buckets {
            events::move_latest(tx, bucket, caller).await?;
        }
    }
    Ok(revoked)
}

/// Which of the revocations that could hold for a version does: the one that holds now, if it has
/// been carried out and is still among them, else the earliest.
fn strongest(claims: Vec<RevocationRow>, now: &RevocationRow, time: Timestamp) -> RevocationRow {
    // What was carried out stays so, also by the clock of a server that is behind.
    let carried_out =
        |claim: &RevocationRow| now.done && claim.from == now.from && claim.at == now.at;
    let kept = |claim: &RevocationRow| {
        now.done && claim.from == now.from && (claim.at <= time || claim.at == now.at)
    };
    let best = claims
        .into_iter()
        .min_by_key(|claim| (!kept(claim), claim.at, claim.from.is_some(), claim.from.clone()));
    let done = best.as_ref().is_some_and(|claim| claim.at <= time || carried_out(claim));
    best.map(|claim| RevocationRow { done, ..claim }).unwrap_or_default()
}

/// Tells that versions were revoked, and moves the channels that point at them.
async fn be_revoked(
    tx: &mut Tx,
    hooks: &[Webhook],
    relatives: &[&Relative],
    revocation: &RevocationRow,
) -> Result<()> {
    let author = &revocation.author;
    let ids: Vec<String> = relatives.iter().map(|it| it.id.clone()).collect();
    let mut channels = tx.channels_of_versions(&ids).await?;
    for relative in relatives {
        events::version_to(tx, hooks, events::REVOKED, &relative.id, author).await?;
        for channel in channels.remove(&relative.id).unwrap_or_default() {
            if channel.managed {
                events::move_latest(tx, &relative.bucket_id, author).await?;
            } else if revocation.rollback {
                let back = tx.last_valid_if_revoked(&channel.id, &relative.id).await?;
                events::assign(tx, &channel, back.as_deref(), author).await?;
            }
        }
    }
    Ok(())
}

/// Carries a revocation out whose time has come: once, whoever else tries to. Whether it was this
/// one that did.
pub(super) async fn carry_out(tx: &mut Tx, id: &str) -> Result<bool> {
    let Some(row) = tx.version_by_id(id).await? else { return Ok(false) };
    let from = match &row.revocation.from {
        Some(from) => tx.version_by_id(from).await?,
        None => None,
    };
    let root = from.as_ref().unwrap_or(&row);
    let line = AuditRow {
        principal: "schedule".into(),
        project_id: root.project_id.clone(),
        action: "carry out revocation".into(),
        target: format!("{}/{} by {}", root.bucket_name, root.fingerprint, row.revocation.author),
        outcome: "done".into(),
        ..AuditRow::default()
    };
    let mut done = settle(tx, &root.id, &root.bucket_id, &row.revocation.author).await?;
    let Some(row) = tx.version_by_id(id).await? else { return Ok(done) };
    if !row.revocation.done && row.revocation.at.is_set() && row.revocation.at <= tx.now {
        // The way it was inherited is gone. What was to be revoked is not let off by that.
        tx.put_revocation(id, &row.revocation).await?;
        done |= settle(tx, id, &row.bucket_id, &row.revocation.author).await?;
    }
    if done {
        tx.audit(&line).await?;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_carried_out_stays_so_by_a_clock_that_is_behind() {
        let at = |micros| Timestamp::from_micros(Some(micros));
        let scheduled = RevocationRow { at: at(100), ..RevocationRow::default() };
        let carried_out = RevocationRow { done: true, ..scheduled.clone() };
        let holds = |now: &RevocationRow, time| strongest(vec![scheduled.clone()], now, at(time));
        assert!(holds(&carried_out, 50).done);
        assert!(!holds(&scheduled, 50).done);
        assert!(holds(&scheduled, 100).done);
    }
}
