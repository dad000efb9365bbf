//! Assigning a member's channel the version that was built and tested.

use ingot_publish::{ListedChannels, assign_unless_moved, meant_for};
use ingot_registry::api::{self, Code, CreateChannelBody, UpdateChannelBody};
use ingot_registry::client::Registry;

use super::member::Member;
use super::standing::{Standing, of_one_run};

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
    let bucket = &member.bucket;
    let listed = ListedChannels::of(registry, bucket).await?;
    let now = match listed.channel(registry, channel).await {
        Err(error) if error.code == Code::NotFound => {
            promote(registry, bucket, channel, &last.fingerprint).await?;
            return Ok(true);
        }
        now => now?,
    };
    let since = last.completed_at();
    let left = assign_unless_moved(registry, bucket, last, &now, since).await?;
    Ok(left.is_none())
}
