//! Whether a member's last version is built from what is to be built from now.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use ingot_publish::changes::{last_completed, published_inputs};
use ingot_publish::{ListedChannels, meant_for};
use ingot_registry::api::{self, BucketAncestry, BucketAncestryType, Code, Version};
use ingot_registry::client::Registry;
use ingot_registry::{Connected, all_relations};
use ingot_sdk::{Error, Result};
use serde::Serialize;

use super::member::{Member, ParentLink};
use super::promote::unfinished_promotion;

/// How a member stands.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The version that was completed last.
    pub last: Option<Version>,
    /// What it builds on.
    pub parents: Vec<ParentStanding>,
    /// Why it is to be built again; empty if it is not.
    pub reasons: Vec<String>,
    /// The channel that the last version is still to be assigned to, which the run that built it did not
    /// live to do: the next run does it. Only [`standings`] looks for it.
    pub promotion: Option<String>,
}

impl Standing {
    /// That of a member where there is no registry yet.
    pub fn never_built(member: &Member) -> Self {
        let parents = member.parents.iter().map(|link| ParentStanding {
            bucket: link.bucket.clone(),
            channel: link.channel.clone(),
            version: None,
            built_from: None,
        });
        Standing {
            parents: parents.collect(),
            reasons: vec![NEVER_BUILT.into()],
            ..Standing::default()
        }
    }
}

/// Why something is built that was not yet.
const NEVER_BUILT: &str = "it was never built";

/// How a bucket stands that a member builds on.
#[derive(Debug, Clone, Serialize)]
pub struct ParentStanding {
    /// The bucket.
    pub bucket: String,
    /// The channel that says which version is meant; null if the version is written down.
    pub channel: Option<String>,
    /// The name of the version that the channel points at; null if it points at none.
    pub version: Option<String>,
    /// The name of the version that the last version was built from; null if that is not known.
    pub built_from: Option<String>,
}

/// A version that something was built from.
struct BuiltFrom {
    id: String,
    name: String,
    fingerprint: String,
}

/// How many requests are made at once.
const AT_ONCE: usize = 8;

/// The channels of buckets, by bucket.
type Channels = BTreeMap<String, ListedChannels>;

/// How `member` stands in a registry.
///
/// # Errors
/// The registry does not answer.
pub(super) async fn standing(connected: &Connected, member: &Member) -> Result<Standing> {
    let channels = parents_channels(connected, std::slice::from_ref(member)).await?;
    standing_among(connected, member, &channels).await
}

/// How `members` stand in a registry, and which of their versions are still to be promoted.
///
/// # Errors
/// The registry does not answer.
pub async fn standings(connected: &Connected, members: &[Member]) -> Result<Vec<Standing>> {
    let channels = parents_channels(connected, members).await?;
    let asked = members.iter().map(|member| standing_before(connected, member, &channels));
    let asked: Vec<_> = asked.collect();
    stream::iter(asked).buffered(AT_ONCE).try_collect().await
}

/// How `member` stands before a run that is only planned.
async fn standing_before(
    connected: &Connected,
    member: &Member,
    channels: &Channels,
) -> Result<Standing> {
    let mut standing = standing_among(connected, member, channels).await?;
    let (registry, listed) = (&*connected.registry, channels.get(&member.bucket));
    let promotion = unfinished_promotion(registry, member, &standing, listed).await;
    standing.promotion = match promotion {
        // Who only looks need not see the channel.
        Err(error) if error.code == Code::PermissionDenied => None,
        found => found.map_err(|error| of_bucket(connected, &member.bucket, error))?,
    };
    Ok(standing)
}

/// The channels of the buckets that members build on: each bucket is asked for once.
async fn parents_channels(connected: &Connected, members: &[Member]) -> Result<Channels> {
    let links = members.iter().flat_map(|member| &member.parents);
    let links = links.filter(|link| link.channel.is_some());
    let buckets: BTreeSet<&String> = links.map(|link| &link.bucket).collect();
    let asked = buckets.into_iter().map(|bucket| async move {
        let listed = ListedChannels::of(&*connected.registry, bucket).await;
        let listed = listed.map_err(|error| of_bucket(connected, bucket, error))?;
        Ok::<_, Error>((bucket.clone(), listed))
    });
    let asked: Vec<_> = asked.collect();
    stream::iter(asked).buffered(AT_ONCE).try_collect().await
}

fn of_bucket(connected: &Connected, bucket: &str, error: api::Error) -> Error {
    let name = &connected.name;
    Error::from(error).context(format_args!("the {name} registry: the bucket {bucket}"))
}

async fn standing_among(
    connected: &Connected,
    member: &Member,
    channels: &Channels,
) -> Result<Standing> {
    let found = standing_in(&*connected.registry, member, channels).await;
    found.map_err(|error| of_bucket(connected, &member.bucket, error))
}

async fn standing_in(
    registry: &dyn Registry,
    member: &Member,
    channels: &Channels,
) -> api::Result<Standing> {
    let last = last_completed(registry, &member.bucket).await?;
    let mut standing = Standing::default();
    let mut relations: Vec<BucketAncestry> = Vec::new();
    match &last {
        None => standing.reasons.push(NEVER_BUILT.into()),
        Some(last) => {
            if last.is_revoked() {
                standing.reasons.push(format!("{} is revoked", last.name));
            }
            let is_of_family =
                |channel: &String| last.builds.iter().any(|build| meant_for(build, channel));
            if member.promote.as_ref().is_some_and(is_of_family) && !of_one_run(last) {
                standing.reasons.push(format!(
                    "{} was not promoted, as another run added builds to it",
                    last.name
                ));
            }
            let (kind, fingerprint) = (BucketAncestryType::Parents, &last.fingerprint);
            relations = all_relations(registry, &member.bucket, kind, fingerprint).await?;
        }
    }
    for link in &member.parents {
        let now = match (&link.channel, channels.get(&link.bucket)) {
            (Some(channel), Some(listed)) => channel_version(registry, listed, channel).await?,
            _ => None,
        };
        let built = match &last {
            Some(last) => built_from(registry, last, &relations, link, now.as_ref()).await?,
            None => None,
        };
        if let Some(last) = &last {
            let reason = reason(registry, last, link, built.as_ref(), now.as_ref()).await?;
            standing.reasons.extend(reason.filter(|why| !standing.reasons.contains(why)));
        }
        standing.parents.push(ParentStanding {
            bucket: link.bucket.clone(),
            channel: link.channel.clone(),
            version: now.map(|version| version.name),
            built_from: built.map(|built| built.name),
        });
    }
    standing.last = last;
    Ok(standing)
}

/// Whether all builds of a version were made by the same run: then they are from the same parents, and
/// all were tested or none was.
pub fn of_one_run(version: &Version) -> bool {
    let mut runs = version.builds.iter().map(|build| &build.packer_run_uuid);
    let first = runs.next();
    runs.all(|run| Some(run) == first)
}

/// Why a version is out of date by one of its parents, if it is.
async fn reason(
    registry: &dyn Registry,
    last: &Version,
    link: &ParentLink,
    built: Option<&BuiltFrom>,
    now: Option<&Version>,
) -> api::Result<Option<String>> {
    let bucket = &link.bucket;
    if let Some(built) = built {
        let moved = now.filter(|now| now.id != built.id);
        if let (Some(now), Some(channel)) = (moved, &link.channel) {
            return Ok(Some(format!(
                "the channel {channel} of {bucket} moved from {} to {}",
                built.name, now.name
            )));
        }
        let revoked = match registry.get_version(bucket, &built.fingerprint).await {
            Ok(version) => version.is_revoked(),
            // It was deleted, which says nothing.
            Err(error) if error.is_absent() => false,
            Err(error) => return Err(error),
        };
        return Ok(revoked.then(|| {
            format!("{} was built from {} of {bucket}, which is revoked", last.name, built.name)
        }));
    }
    // Where nothing can be built from there is nothing to catch up with.
    Ok(now
        .map(|_| format!("{} does not say which version of {bucket} it was built from", last.name)))
}

/// The version of a parent's bucket that `last` was built from: by ancestry, else by what was published
/// of its inputs, where what was used is not the source of an image. Of builds of several runs, one may
/// be from what the channel points at `now` and another not: the latter counts.
async fn built_from(
    registry: &dyn Registry,
    last: &Version,
    relations: &[BucketAncestry],
    link: &ParentLink,
    now: Option<&Version>,
) -> api::Result<Option<BuiltFrom>> {
    let is_now = |id: &str| now.is_some_and(|now| now.id == id);
    let parents = relations.iter().filter_map(|relation| relation.parent.as_ref());
    let mut parents: Vec<_> = parents.filter(|parent| parent.bucket_name == link.bucket).collect();
    // Several channels of one bucket may be used.
    if parents.len() > 1
        && let Some(channel) = &link.channel
        && parents.iter().any(|parent| parent.channel_name == *channel)
    {
        parents.retain(|parent| parent.channel_name == *channel);
        parents.sort_by_key(|parent| is_now(&parent.version_id));
    }
    if let Some(parent) = parents.first() {
        return Ok(Some(BuiltFrom {
            id: parent.version_id.clone(),
            name: parent.version_name.clone(),
            fingerprint: parent.version_fingerprint.clone(),
        }));
    }
    let records = last.builds.iter().filter_map(published_inputs);
    let records = records.flat_map(|record| record.parents);
    let same = |one: &ingot_engine::inputs::ParentRecord| {
        one.bucket == link.bucket && link.channel.as_ref().is_none_or(|it| one.channel == *it)
    };
    let mut records: Vec<_> = records.filter(same).collect();
    records.sort_by_key(|record| is_now(&record.version));
    let Some(record) = records.first() else { return Ok(None) };
    match registry.get_version_by_id(&link.bucket, &record.version).await {
        Ok(version) => Ok(Some(BuiltFrom {
            id: version.id,
            name: version.name,
            fingerprint: version.fingerprint,
        })),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a channel points at; none if there is no such channel.
async fn channel_version(
    registry: &dyn Registry,
    listed: &ListedChannels,
    channel: &str,
) -> api::Result<Option<Version>> {
    match listed.channel(registry, channel).await {
        Ok(channel) => Ok(channel.version),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}
