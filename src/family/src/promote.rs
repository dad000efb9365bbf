//! Assigning a member's channel the version that was built and tested.

use ingot_publish::{ListedChannels, meant_for, reason_to_leave};
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

/// The channel that a member's last version is still to be assigned to: another run of the family built
/// it for that and did not live to assign it. None where the channel was assigned something since then.
/// `listed` are the channels of the member's bucket, if they were asked for.
///
/// # Errors
/// The registry does not answer, or the channel may not be seen.
pub(super) async fn unfinished_promotion(
    registry: &dyn Registry,
    member: &Member,
    standing: &Standing,
    listed: Option<&ListedChannels>,
) -> api::Result<Option<String>> {
    let (Some(channel), Some(last)) = (&member.promote, &standing.last) else { return Ok(None) };
    let mut builds = last.builds.iter();
    let meant = !last.builds.is_empty() && builds.all(|build| meant_for(build, channel));
    if !standing.reasons.is_empty() || last.is_revoked() || !meant || !of_one_run(last) {
        return Ok(None);
    }
    let bucket = &member.bucket;
    let asked;
    let listed = match listed {
        Some(listed) => listed,
        None => {
            asked = ListedChannels::of(registry, bucket).await?;
            &asked
        }
    };
    let unfinished = match listed.channel(registry, channel).await {
        // It is to be created.
        Err(error) if error.code == Code::NotFound => true,
        now => {
            let (now, since) = (now?, last.completed_at());
            reason_to_leave(registry, bucket, last, &now, since).await?.is_none()
        }
    };
    Ok(unfinished.then(|| channel.clone()))
}

/// Assigns a member's channel the version that is still to be assigned to it, as
/// `unfinished_promotion` finds out; that channel, if there is one.
///
/// # Errors
/// The registry refuses it, or does not answer.
pub(super) async fn finish_promotion(
    registry: &dyn Registry,
    member: &Member,
    standing: &Standing,
) -> api::Result<Option<String>> {
    let channel = unfinished_promotion(registry, member, standing, None).await?;
    if let (Some(channel), Some(last)) = (&channel, &standing.last) {
        promote(registry, &member.bucket, channel, &last.fingerprint).await?;
    }
    Ok(channel)
}
