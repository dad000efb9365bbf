//! `ingot registry revoke` and `restore`

use clap::Args;
use ingot_sdk::{Error, Result};

use super::output::{line, moment, plain, shown_version};
use super::session::Session;
use crate::args::time;
use ingot_registry::api::{Channel, Child, Timestamp, UpdateVersionBody, VersionStatus};
use ingot_registry::{MovedChannel, RevocationImpact, revocation_delay};

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// The bucket
    bucket: String,
    /// The version: its name, fingerprint or id
    version: String,
    /// Revoke it at this time, not now: 2026-12-31T23:59:59Z, or 2026-12-31
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "after")]
    at: Option<Timestamp>,
    /// Revoke it after this time, not now: 30d, 2h45m
    #[arg(long = "in", value_name = "DURATION", id = "after", value_parser = delay)]
    after: Option<String>,
    /// The reason
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    /// Assign to its channels the last valid version before it; false leaves them
    #[arg(long, default_value_t = true)]
    rollback: bool,
    /// Also revoke what was built from it; false leaves that
    #[arg(long, default_value_t = true)]
    descendants: bool,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The bucket
    bucket: String,
    /// The version: its name, fingerprint or id
    version: String,
}

/// How long to wait, as the registry reads it.
fn delay(text: &str) -> Result<String, String> {
    match revocation_delay(text) {
        // The API takes it for now. Here it is a slip, as a time in the past is.
        Some(_) if text.starts_with('-') => {
            Err("it is in the past; leave -in out to revoke the version now".into())
        }
        Some(_) => Ok(text.to_owned()),
        None => Err("write a duration such as 30d or 2h45m; its units are s, m, h, d".into()),
    }
}

pub(super) async fn revoke(args: &RevokeArgs, session: &Session) -> Result<()> {
    // More likely the wrong year than a wish: restoring does not bring channels back.
    if let Some(at) = args.at.filter(|at| *at <= Timestamp::now()) {
        return Err(Error::new(format!("-at: {} is in the past", moment(at)))
            .hint("leave -at out to revoke the version now"));
    }
    let version = session.version(&args.bucket, &args.version).await?;
    let body = UpdateVersionBody {
        revoke_at: args.at.unwrap_or_default(),
        revoke_in: match (&args.at, &args.after) {
            (Some(_), _) => String::new(),
            (None, Some(after)) => after.clone(),
            // Not this machine's clock, which may be ahead.
            (None, None) => "0s".into(),
        },
        revocation_message: args.reason.clone(),
        disable_rollback_channels: !args.rollback,
        skip_descendants_revocation: !args.descendants,
        ..UpdateVersionBody::default()
    };
    let (registry, fingerprint) = (session.registry(), &version.fingerprint);
    // A failure of this report must not prevent the revocation.
    let impact = RevocationImpact::of(registry, &args.bucket, fingerprint).await;
    let now = registry.update_version(&args.bucket, fingerprint, &body).await?;
    let shown = format!("{} ({fingerprint})", version.name);
    let scheduled = now.status == VersionStatus::RevocationScheduled;
    match scheduled {
        true => line(format!("{shown} will be revoked at {}.", moment(now.revoke_at))),
        false => line(format!("{shown} is revoked.")),
    }
    if let Some(from) = &now.revocation_inherited_from {
        let (bucket, from) = (&from.bucket_name, &from.version_name);
        line(plain(format!("An earlier revocation holds, inherited from {bucket} {from}.")));
    }
    match impact {
        Ok(impact) => {
            show_impact(&impact, session, args.descendants, scheduled).await;
            if session.connected.is_hcp() && version.has_descendants {
                line(
                    "HCP Packer names only the newest version of each bucket: others may be built \
                     from it, too.",
                );
            }
        }
        Err(error) => line(format!("Warning: what was built from it is not known: {error}")),
    }
    Ok(())
}

/// Shows what was built from a version that was revoked, or will be, and which channels moved.
async fn show_impact(
    impact: &RevocationImpact,
    session: &Session,
    descendants: bool,
    scheduled: bool,
) {
    for child in &impact.descendants {
        let Child { bucket_name, .. } = child;
        let version_name = shown_version(&child.version_name, &child.version_fingerprint);
        let what = match (descendants, scheduled) {
            (true, false) => "is revoked with it",
            (true, true) => "will be revoked with it",
            (false, _) => "was built from it, and stays as it is",
        };
        line(plain(format!("{bucket_name} {version_name} {what}.")));
    }
    if impact.more {
        line(match descendants && !scheduled {
            true => {
                "There is more that was built from it; channels of other buckets may have moved, too."
            }
            false => "There is more that was built from it.",
        });
    }
    match impact.moved_channels(session.registry()).await {
        Ok(moved) => moved.iter().for_each(show_moved),
        Err(error) => line(format!("Warning: the channels cannot be listed: {error}")),
    }
}

fn show_moved(MovedChannel { bucket, channel, before, after }: &MovedChannel) {
    let none = |name: &str| match name {
        "" => "none".to_owned(),
        name => name.to_owned(),
    };
    let (before, after) = (none(before), none(after));
    line(plain(format!("The channel {channel} of {bucket}: {before} → {after}.")));
}

pub(super) async fn restore(args: &RestoreArgs, session: &Session) -> Result<()> {
    let version = session.version(&args.bucket, &args.version).await?;
    if !version.revoke_at.is_set() {
        return Err(Error::new(format!("the version {} is not revoked", version.name)));
    }
    let body = UpdateVersionBody { restore: true, ..UpdateVersionBody::default() };
    let (registry, fingerprint) = (session.registry(), &version.fingerprint);
    let now = registry.update_version(&args.bucket, fingerprint, &body).await?;
    let name = &version.name;
    match (&now.revocation_inherited_from, now.revoke_at.is_set()) {
        (Some(from), _) => {
            let (bucket, from) = (&from.bucket_name, &from.version_name);
            let still = match now.status {
                VersionStatus::Revoked => "is still revoked",
                _ => "is still to be revoked",
            };
            line(format!("{name} ({fingerprint}) {still}, inherited from {bucket} {from}."));
            line("Restore that version, or run this command again to restore only this one.");
        }
        (None, true) => line(format!("{name} ({fingerprint}) is still to be revoked.")),
        (None, false) => {
            line(format!("{name} ({fingerprint}) is valid again."));
            let channels = registry.list_channels(&args.bucket).await;
            let channels = channels.map(|answer| answer.channels).unwrap_or_default();
            let is_it = |channel: &Channel| {
                !channel.managed
                    && channel.version.as_ref().is_some_and(|version| version.id == now.id)
            };
            if !channels.iter().any(is_it) {
                line(format!(
                    "Channels stay where they are: `ingot registry channels assign {} CHANNEL {name}` \
                     points one at it.",
                    args.bucket
                ));
            }
        }
    }
    Ok(())
}
