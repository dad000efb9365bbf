//! Events: written into the outbox in the transaction of the change, so that webhooks get an event if
//! and only if the change was made.

use std::collections::BTreeSet;
use std::slice;

use serde_json::{Value, json};

use crate::api::*;
use crate::store::{ChannelRow, Tx, VersionRow, Webhook};

/// A version was completed.
pub(super) const COMPLETED: &str = "version.completed";
/// A version was revoked.
pub(super) const REVOKED: &str = "version.revoked";
/// A version was made valid again.
pub(super) const RESTORED: &str = "version.restored";
/// A channel points at something else.
const ASSIGNED: &str = "channel.assigned";
/// A channel moved, and the newest version of another bucket was built from what it pointed at before.
const OUTDATED: &str = "bucket.outdated";

/// All events that webhooks may want.
pub const EVENTS: &[&str] = &[COMPLETED, REVOKED, RESTORED, ASSIGNED, OUTDATED];

/// How many buckets one move of a channel reports as out of date. More would hold up whoever moves
/// it; the parent's own event reports the move all the same.
const MOST_OUTDATED: usize = 500;

/// Tells what happened to a version.
pub(super) async fn version(tx: &mut Tx, event: &str, id: &str, author: &str) -> Result<()> {
    notify(tx, event, Some(id), None, author).await
}

/// As [`version`], with the webhooks of its project: of many versions, for which nobody may listen.
pub(super) async fn version_to(
    tx: &mut Tx,
    hooks: &[Webhook],
    event: &str,
    id: &str,
    author: &str,
) -> Result<()> {
    match hooks.iter().any(|hook| wants(hook, event)) {
        true => version(tx, event, id, author).await,
        false => Ok(()),
    }
}

/// Points a channel at a version and tells it.
pub(super) async fn assign(
    tx: &mut Tx,
    channel: &ChannelRow,
    version: Option<&str>,
    author: &str,
) -> Result<()> {
    tx.assign(&channel.id, version, author).await?;
    // What it pointed at before is there as long as what it points at now is not.
    let about = version.or(channel.version_id.as_deref());
    notify(tx, ASSIGNED, about, Some((channel, version.is_some())), author).await?;
    match version {
        Some(version) => outdated(tx, channel, version, author).await,
        None => Ok(()),
    }
}

/// Tells which buckets are out of date now that `channel` points at `version`: those whose newest
/// complete version was built from another one that was found by this channel.
async fn outdated(tx: &mut Tx, channel: &ChannelRow, version: &str, author: &str) -> Result<()> {
    let parents = tx.versions_by_id(slice::from_ref(&version.to_owned())).await?;
    let Some(parent) = parents.into_iter().next() else { return Ok(()) };
    let hooks = wanting(tx, &parent, OUTDATED).await?;
    if hooks.is_empty() {
        return Ok(());
    }
    let relations = tx.children_of(slice::from_ref(&parent.bucket_id), true).await?;
    let behind = relations.into_iter().filter(|relation| {
        relation.channel_id.as_ref() == Some(&channel.id) && relation.parent_id != parent.id
    });
    let behind: BTreeSet<String> = behind.map(|relation| relation.child_id).collect();
    let behind: Vec<String> = behind.into_iter().take(MOST_OUTDATED).collect();
    for child in tx.versions_by_id(&behind).await? {
        let mut body = about(tx, OUTDATED, &child, author);
        body["channel"] = json!(channel.name);
        body["parent"] = json!({
            "bucket": parent.bucket_name,
            "channel": channel.name,
            "version": told(&parent),
        });
        for hook in &hooks {
            tx.post(hook, OUTDATED, &body.to_string()).await?;
        }
    }
    Ok(())
}

/// Points a bucket's managed channel at its newest valid version. The bucket must be locked.
pub(super) async fn move_latest(tx: &mut Tx, bucket: &str, author: &str) -> Result<()> {
    let newest = tx.newest_valid(bucket).await?;
    let Some(latest) = tx.channel(bucket, LATEST_CHANNEL).await? else { return Ok(()) };
    match latest.version_id == newest {
        true => Ok(()),
        false => assign(tx, &latest, newest.as_deref(), author).await,
    }
}

async fn notify(
    tx: &mut Tx,
    event: &str,
    version: Option<&str>,
    channel: Option<(&ChannelRow, bool)>,
    author: &str,
) -> Result<()> {
    let Some(id) = version else { return Ok(()) };
    let rows = tx.versions_by_id(slice::from_ref(&id.to_owned())).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let hooks = wanting(tx, row, event).await?;
    let mut body = about(tx, event, row, author);
    if let Some((channel, points)) = channel {
        body["channel"] = json!(channel.name);
        if !points {
            body["version"] = Value::Null;
        }
    }
    for hook in &hooks {
        tx.post(hook, event, &body.to_string()).await?;
    }
    Ok(())
}

/// The webhooks that want an event of a version, by their ids.
async fn wanting(tx: &mut Tx, row: &VersionRow, event: &str) -> Result<Vec<String>> {
    let hooks = tx.webhooks_of(&row.project_id).await?.into_iter();
    Ok(hooks.filter(|hook| wants(hook, event)).map(|hook| hook.id).collect())
}

fn wants(hook: &Webhook, event: &str) -> bool {
    hook.events.is_empty() || hook.events.split(',').any(|it| it == event)
}

/// The payload of an event of a version.
fn about(tx: &Tx, event: &str, row: &VersionRow, author: &str) -> Value {
    json!({
        "event": event,
        "at": tx.now,
        "author": author,
        "project_id": row.project_id,
        "bucket": row.bucket_name,
        "version": told(row),
    })
}

fn told(row: &VersionRow) -> Value {
    json!({
        "id": row.id,
        "name": row.name(),
        "fingerprint": row.fingerprint,
        "revoke_at": row.revocation.at,
        "revocation_message": row.revocation.message,
    })
}
