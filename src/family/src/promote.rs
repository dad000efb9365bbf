//! Assigning a member's channel the version that was built and tested.

use ingot_publish::{assign_late, meant_for};
use ingot_registry::api::{self, Code, CreateChannelBody, UpdateChannelBody, Version};
use ingot_registry::client::Registry;

use super::member::Member;
use super::standing::{Standing, channel_version, of_one_run};

/// Assigns `channel` of a bucket a version. A channel that is not there is created.
///
/// # Errors
/// The registry refuses it, or does not answer.
pub async fn promote(
    registry: &dyn Registry,
    bucket: &str,
    channel: &str,
    fingerprint: &str,
) -> api::Result<()> {
    let body = UpdateChannelBody {
        update_mask: "versionFingerprint".into(),
        version_fingerprint: fingerprint.to_owned(),
        restricted: false,
    };
    match registry.update_channel(bucket, channel, &body).await {
        Err(error) if error.code == Code::NotFound => {}
        result => return result.map(drop),
    }
    let body = CreateChannelBody {
        name: channel.to_owned(),
        restricted: false,
        version_fingerprint: fingerprint.to_owned(),
    };
    registry.create_channel(bucket, &body).await.map(drop)
}

/// Assigns a member's channel the version that another run of the family built for it and did not live
/// to assign; whether it did. A channel that was assigned something since then stays where it is.
///
/// # Errors
/// The registry refuses it, or does not answer.
pub async fn finish_promotion(
    registry: &dyn Registry,
    member: &Member,
    standing: &Standing,
) -> api::Result<bool> {
    let (Some(channel), Some(last)) = (&member.promote, &standing.last) else { return Ok(false) };
    let mut builds = last.builds.iter();
    let meant = !last.builds.is_empty() && builds.all(|build| meant_for(build, channel));
    if !standing.reasons.is_empty() || last.is_revoked() || !meant || !of_one_run(last) {
        return Ok(false);
    }
    let now: Option<Version> = channel_version(registry, &member.bucket, channel).await?;
    if now.as_ref().is_some_and(|now| now.id == last.id) {
        return Ok(false);
    }
    if let Err(error) = registry.get_channel(&member.bucket, channel).await {
        return match error.code {
            Code::NotFound => {
                promote(registry, &member.bucket, channel, &last.fingerprint).await.map(|()| true)
            }
            _ => Err(error),
        };
    }
    let channels = [channel.clone()];
    let since = last.completed_at();
    let mut late = assign_late(registry, &member.bucket, last, &channels, since).await;
    match late.failed.pop() {
        Some((_, error)) => Err(error),
        None => Ok(!late.assigned.is_empty()),
    }
}
