//! What a revocation concerns: the versions that were built from one, and the channels of their buckets.

use std::collections::{BTreeMap, BTreeSet};

use ingot_registry::all_relations;
use ingot_registry::api::{BucketAncestryType, Child};
use ingot_sdk::Result;

use super::session::Session;

/// How many versions are looked at.
const MOST: usize = 200;

/// What was built from a version, and from that, and so on, and the channels of all their buckets.
pub(super) struct RevocationImpact {
    /// The buckets, that of the version first.
    buckets: Vec<String>,
    /// What was built from it.
    pub descendants: Vec<Child>,
    /// Whether there are more than are looked at.
    pub more: bool,
    /// The versions that channels pointed at, by bucket and channel; empty for none.
    channels: BTreeMap<(String, String), String>,
}

/// The versions that were built from one.
pub(super) async fn built_from(
    session: &Session,
    bucket: &str,
    fingerprint: &str,
) -> Result<Vec<Child>> {
    let kind = BucketAncestryType::Children;
    let relations = all_relations(session.registry(), bucket, kind, fingerprint).await?;
    let mut seen = BTreeSet::new();
    let children = relations.into_iter().filter_map(|relation| relation.child);
    // One relation for each channel that it was found by.
    Ok(children.filter(|child| seen.insert(child.version_id.clone())).collect())
}

impl RevocationImpact {
    /// Looks before anything is changed.
    pub(super) async fn of(
        session: &Session,
        bucket: &str,
        fingerprint: &str,
    ) -> Result<RevocationImpact> {
        let mut descendants: Vec<Child> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut waiting = vec![(bucket.to_owned(), fingerprint.to_owned())];
        while let Some((bucket, fingerprint)) = waiting.pop()
            && descendants.len() < MOST
        {
            for child in built_from(session, &bucket, &fingerprint).await? {
                if seen.insert(child.version_id.clone()) {
                    waiting.push((child.bucket_name.clone(), child.version_fingerprint.clone()));
                    descendants.push(child);
                }
            }
        }
        let below: BTreeSet<String> =
            descendants.iter().map(|child| child.bucket_name.clone()).collect();
        let others = below.into_iter().filter(|name| name != bucket);
        let buckets: Vec<String> = std::iter::once(bucket.to_owned()).chain(others).collect();
        let channels = channels(session, &buckets).await?;
        Ok(RevocationImpact { buckets, descendants, more: !waiting.is_empty(), channels })
    }

    /// The channels that point elsewhere now, for people, one in a line.
    pub(super) async fn moved(&self, session: &Session) -> Result<Vec<String>> {
        let now = channels(session, &self.buckets).await?;
        let none = |name: &String| match name.as_str() {
            "" => "none".to_owned(),
            name => name.to_owned(),
        };
        let moved = self.channels.iter().filter_map(|((bucket, channel), before)| {
            let after = now.get(&(bucket.clone(), channel.clone()))?;
            let (before, after) = (none(before), none(after));
            (before != after)
                .then(|| format!("The channel {channel} of {bucket}: {before} → {after}"))
        });
        Ok(moved.collect())
    }
}

/// How a version is called: one that is not complete has no name yet.
pub(super) fn shown_version<'a>(name: &'a str, fingerprint: &'a str) -> &'a str {
    match name {
        "" | "v0" => fingerprint,
        name => name,
    }
}

async fn channels(
    session: &Session,
    buckets: &[String],
) -> Result<BTreeMap<(String, String), String>> {
    let mut found = BTreeMap::new();
    for bucket in buckets {
        let answer = session.registry().list_channels(bucket).await?;
        // `latest` and the like follow by themselves.
        for channel in answer.channels.into_iter().filter(|channel| !channel.managed) {
            let version = channel.version.map(|version| version.name).unwrap_or_default();
            found.insert((bucket.clone(), channel.name), version);
        }
    }
    Ok(found)
}
