//! What happened: written into the outbox in the transaction it happened in, so that whoever wants
//! to know is told of it if and only if it happened.

use std::slice;

use serde_json::json;

use crate::api::*;
use crate::store::{ChannelRow, Tx};

/// A version was completed.
pub(super) const COMPLETED: &str = "version.completed";
/// A version was revoked.
pub(super) const REVOKED: &str = "version.revoked";
/// A version was made valid again.
pub(super) const RESTORED: &str = "version.restored";
/// A channel points at something else.
const ASSIGNED: &str = "channel.assigned";

/// All events that webhooks may want.
pub const EVENTS: &[&str] = &[COMPLETED, REVOKED, RESTORED, ASSIGNED];

/// Tells what happened to a version.
pub(super) async fn version(tx: &mut Tx, event: &str, id: &str, author: &str) -> Result<()> {
    notify(tx, event, Some(id), None, author).await
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
    notify(tx, ASSIGNED, about, Some((channel, version.is_some())), author).await
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
    let hooks = tx.webhooks_of(&row.project_id).await?;
    let wanted = |events: &str| events.is_empty() || events.split(',').any(|it| it == event);
    for hook in hooks.iter().filter(|hook| wanted(&hook.events)) {
        let version = json!({
            "id": row.id,
            "name": row.name(),
            "fingerprint": row.fingerprint,
            "revoke_at": row.revocation.at,
            "revocation_message": row.revocation.message,
        });
        let mut body = json!({
            "event": event,
            "at": tx.now,
            "author": author,
            "project_id": row.project_id,
            "bucket": row.bucket_name,
            "version": version,
        });
        if let Some((channel, points)) = channel {
            body["channel"] = json!(channel.name);
            if !points {
                body["version"] = serde_json::Value::Null;
            }
        }
        tx.post(&hook.id, event, &body.to_string()).await?;
    }
    Ok(())
}
