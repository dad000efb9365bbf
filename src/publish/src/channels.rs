//! Assigning a template's channels the version that a run completed.

use std::collections::BTreeMap;

use super::plan::Plan;
use ingot_registry::Connected;
use ingot_registry::api::*;
use ingot_registry::client::Registry;

/// The outcome of assigning channels a version later than it was completed.
#[derive(Debug, Default)]
pub struct LateAssignments {
    /// Those that point at it now.
    pub assigned: Vec<String>,
    /// Those that were left where they are, and why.
    pub skipped: Vec<(String, String)>,
    /// Those that could not be assigned it, and why.
    pub failed: Vec<(String, Error)>,
}

/// The channels of a bucket by one request: HCP Packer may charge for each channel that is asked for by
/// itself.
#[derive(Debug, Clone)]
pub struct ListedChannels {
    bucket: String,
    channels: Vec<Channel>,
}

impl ListedChannels {
    /// Asks for those of a bucket. There are none if the bucket is not there, or they are not to be seen.
    ///
    /// # Errors
    /// The registry does not answer.
    pub async fn of(registry: &dyn Registry, bucket: &str) -> Result<ListedChannels> {
        let channels = match registry.list_channels(bucket).await {
            Err(error) if error.is_absent() || error.code == Code::PermissionDenied => Vec::new(),
            answer => answer?.channels,
        };
        Ok(ListedChannels { bucket: bucket.to_owned(), channels })
    }

    /// A channel. One that is not listed, or restricted, is asked for by itself, which tells whether it
    /// is there and whether it may be used.
    ///
    /// # Errors
    /// It is not there, or may not be used; or the registry does not answer.
    pub async fn channel(&self, registry: &dyn Registry, name: &str) -> Result<Channel> {
        match self.channels.iter().find(|channel| channel.name == name && !channel.restricted) {
            Some(channel) => Ok(channel.clone()),
            None => registry.get_channel(&self.bucket, name).await,
        }
    }
}

/// Looks whether channels are there that a run is to assign a version later: hours later, when what
/// was built would be published and found by nobody.
///
/// # Errors
/// They are not there, or not to be seen by whoever asks; or the registry does not answer.
pub(super) async fn check(
    registry: &dyn Registry,
    bucket: &str,
    channels: &[String],
) -> ingot_sdk::Result<()> {
    if channels.is_empty() {
        return Ok(());
    }
    let listed = ListedChannels::of(registry, bucket).await.map_err(|error| {
        let error = ingot_sdk::Error::from(error);
        error.context(format_args!("the channels of bucket {bucket}"))
    })?;
    let (mut missing, mut denied) = (Vec::new(), Vec::new());
    for channel in channels {
        match listed.channel(registry, channel).await {
            Ok(_) => {}
            Err(error) if error.code == Code::NotFound => missing.push(channel.as_str()),
            Err(error) if error.code == Code::PermissionDenied => denied.push(channel.as_str()),
            Err(error) => {
                let error = ingot_sdk::Error::from(error);
                return Err(error.context(format_args!("channel `{channel}`")));
            }
        }
    }
    if !missing.is_empty() {
        let (what, of) = named(&missing);
        let create: Vec<String> = missing
            .iter()
            .map(|channel| format!("`ingot registry channel create {bucket} {channel}`"))
            .collect();
        return Err(ingot_sdk::Error::new(format!("bucket {bucket} has no {what} {of}")).hint(
            format!("{}, or remove it from channels in hcp_packer_registry", create.join(", ")),
        ));
    }
    if !denied.is_empty() {
        let (what, of) = named(&denied);
        return Err(ingot_sdk::Error::new(format!(
            "the {what} {of} of bucket {bucket} cannot be assigned a version with these credentials"
        ))
        .hint("a restricted channel needs an admin's, or access that one gives"));
    }
    Ok(())
}

fn named(channels: &[&str]) -> (&'static str, String) {
    let list: Vec<String> = channels.iter().map(|channel| format!("`{channel}`")).collect();
    (if list.len() == 1 { "channel" } else { "channels" }, list.join(", "))
}

async fn assign_one(
    registry: &dyn Registry,
    bucket: &str,
    fingerprint: &str,
    channel: &str,
) -> Result<()> {
    let body = UpdateChannelBody {
        update_mask: "versionFingerprint".into(),
        version_fingerprint: fingerprint.to_owned(),
        restricted: false,
    };
    registry.update_channel(bucket, channel, &body).await.map(drop)
}

/// Assigns channels a version that is complete. Gives those that could not be, and why.
pub(super) async fn assign(
    registry: &dyn Registry,
    bucket: &str,
    fingerprint: &str,
    channels: &[String],
) -> Vec<(String, Error)> {
    let mut failed = Vec::new();
    for channel in channels {
        if let Err(error) = assign_one(registry, bucket, fingerprint, channel).await {
            failed.push((channel.clone(), error));
        }
    }
    failed
}

/// Assigns channels a version that should have got them at `since`, each as with
/// [`assign_unless_moved`].
pub(super) async fn assign_late(
    registry: &dyn Registry,
    bucket: &str,
    version: &Version,
    channels: &[String],
    since: Timestamp,
) -> LateAssignments {
    let mut late = LateAssignments::default();
    if channels.is_empty() {
        return late;
    }
    let listed = match ListedChannels::of(registry, bucket).await {
        Ok(listed) => listed,
        Err(error) => {
            let failed = channels.iter().map(|channel| (channel.clone(), error.clone()));
            late.failed.extend(failed);
            return late;
        }
    };
    for channel in channels {
        let outcome = match listed.channel(registry, channel).await {
            Ok(now) => assign_unless_moved(registry, bucket, version, &now, since).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(None) => late.assigned.push(channel.clone()),
            Ok(Some(reason)) => late.skipped.push((channel.clone(), reason)),
            Err(error) => late.failed.push((channel.clone(), error)),
        }
    }
    late
}

/// Assigns a channel a version that should have got it at `since`, unless there is a
/// [`reason_to_leave`] it where it is, which this then says.
///
/// # Errors
/// The registry refuses it, or does not answer.
async fn assign_unless_moved(
    registry: &dyn Registry,
    bucket: &str,
    version: &Version,
    channel: &Channel,
    since: Timestamp,
) -> Result<Option<String>> {
    let reason = reason_to_leave(registry, bucket, version, channel, since).await?;
    if reason.is_none() {
        assign_one(registry, bucket, &version.fingerprint, &channel.name).await?;
    }
    Ok(reason)
}

/// Why a channel is not assigned a version that should have got it at `since`: it was assigned
/// something since then, or points at a version that was opened later than this one. None where nothing
/// has come in between.
///
/// # Errors
/// The registry does not answer.
pub async fn reason_to_leave(
    registry: &dyn Registry,
    bucket: &str,
    version: &Version,
    channel: &Channel,
    since: Timestamp,
) -> Result<Option<String>> {
    if let Some(now) = &channel.version {
        if now.id == version.id {
            return Ok(Some(format!("it points at {} already", now.name)));
        }
        if now.created_at > version.created_at {
            return Ok(Some(format!("it points at {}, which is newer", now.name)));
        }
    }
    let newest = Page { size: 1, ..Page::default() };
    let history = registry.channel_history(bucket, &channel.name, &newest).await?.history;
    let Some(last) = history.first().filter(|last| last.assigned_at > since) else {
        return Ok(None);
    };
    let name = last.version.as_ref().map_or("no version", |version| &version.name);
    Ok(Some(format!("it was assigned {name} in the meantime")))
}

/// An error that names the channels that could not be assigned a version, if there are any.
pub(super) fn unassigned(
    bucket: &str,
    fingerprint: &str,
    failed: Vec<(String, Error)>,
) -> ingot_sdk::Result<()> {
    let failed: Vec<String> = failed
        .into_iter()
        .map(|(channel, error)| format!("channel `{channel}`: {error}"))
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(ingot_sdk::Error::new(format!(
            "published, but not assigned to {}",
            failed.join("; ")
        ))
        .hint(format!("ingot registry channel assign {bucket} CHANNEL {fingerprint}"))),
    }
}

/// Assigns the template's channels a version that another run completed and did not live to
/// assign. Nothing if the version has not all that is to be built, or is revoked.
pub(super) async fn assign_forgotten(
    registry: &Connected,
    plan: &Plan,
    version: &Version,
    builds: &BTreeMap<String, Build>,
) -> LateAssignments {
    let has_all = plan.components.iter().all(|component| builds.contains_key(component));
    if version.is_revoked() || !has_all {
        return LateAssignments::default();
    }
    // The last build to be done completed the version, and with it came its artifacts.
    let artifacts = builds.values().flat_map(|build| &build.artifacts);
    let completed = artifacts.map(|artifact| artifact.created_at).max().unwrap_or_default();
    assign_late(&*registry.registry, &plan.bucket, version, &plan.channels, completed).await
}
