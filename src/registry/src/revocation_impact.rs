//! What a revocation concerns: the versions that were built from one, and the channels of their buckets.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{AncestryQuery, BucketAncestry, BucketAncestryType, Child, Result};
use crate::client::Registry;
use crate::find_in_pages;

/// How many versions are looked at.
const MOST: usize = 200;

/// What was built from a version, and from that, and so on, and the channels of all their buckets.
#[derive(Debug)]
pub struct RevocationImpact {
    /// The buckets, that of the version first.
    buckets: Vec<String>,
    /// What was built from it.
    pub descendants: Vec<Child>,
    /// Whether there are more than are looked at.
    pub more: bool,
    /// The versions that channels pointed at, by bucket and channel; empty for none.
    channels: BTreeMap<(String, String), String>,
}

/// A channel that points at another version than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedChannel {
    /// Its bucket.
    pub bucket: String,
    /// Its name.
    pub channel: String,
    /// The name of the version that it pointed at; empty for none.
    pub before: String,
    /// The name of the version that it points at; empty for none.
    pub after: String,
}

/// The versions that were built from one. Of HCP Packer's only those that are the newest complete ones
/// of their buckets: it tells of no others.
///
/// # Errors
/// Those of the registry.
pub async fn version_children(
    registry: &dyn Registry,
    bucket: &str,
    fingerprint: &str,
) -> Result<Vec<Child>> {
    first_children(registry, bucket, fingerprint, Which::All, usize::MAX).await
}

/// Which of the versions that were built from one a registry is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    /// Those that are the newest complete ones of their buckets.
    Newest,
}

/// The versions that were built from one, as far as pages have them until there are `most`: a registry
/// looks for all of them anew for each page.
async fn first_children(
    registry: &dyn Registry,
    bucket: &str,
    fingerprint: &str,
    which: Which,
    most: usize,
) -> Result<Vec<Child>> {
    let query = AncestryQuery {
        kind: BucketAncestryType::Children,
        // Of a whole bucket a registry gives only what is in use.
        version_fingerprint: match which {
            Which::All => fingerprint.to_owned(),
            Which::Newest => String::new(),
        },
        ..AncestryQuery::default()
    };
    let query = &query;
    let ask = |page| async move { registry.list_ancestry(bucket, query, &page).await };
    let (mut seen, mut children) = (BTreeSet::new(), Vec::new());
    let _: Option<()> = find_in_pages(ask, |relations: Vec<BucketAncestry>| {
        // HCP Packer looks at the fingerprint for parents only, and gives the children of all versions.
        let of_it = relations.into_iter().filter(|relation| {
            relation.parent.as_ref().is_some_and(|parent| parent.version_fingerprint == fingerprint)
        });
        let found = of_it.filter_map(|relation| relation.child);
        // One relation for each channel that it was found by.
        children.extend(found.filter(|child| seen.insert(child.version_id.clone())));
        (children.len() >= most).then_some(())
    })
    .await?;
    Ok(children)
}

impl RevocationImpact {
    /// That of a version, before it is revoked.
    ///
    /// # Errors
    /// Those of the registry.
    pub async fn of(
        registry: &dyn Registry,
        bucket: &str,
        fingerprint: &str,
    ) -> Result<RevocationImpact> {
        let mut descendants: Vec<Child> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut waiting = vec![(bucket.to_owned(), fingerprint.to_owned())];
        let mut more = false;
        let mut below = BTreeSet::new();
        while let Some((bucket, fingerprint)) = waiting.pop()
            && descendants.len() < MOST
        {
            let children =
                first_children(registry, &bucket, &fingerprint, Which::All, MOST).await?;
            if children.len() >= MOST {
                more = true;
                // The first are the oldest; channels rather point at the newest.
                let newest = Which::Newest;
                let newest = first_children(registry, &bucket, &fingerprint, newest, MOST).await?;
                below.extend(newest.into_iter().map(|child| child.bucket_name));
            }
            for child in children {
                if seen.insert(child.version_id.clone()) {
                    waiting.push((child.bucket_name.clone(), child.version_fingerprint.clone()));
                    descendants.push(child);
                }
            }
        }
        below.extend(descendants.iter().map(|child| child.bucket_name.clone()));
        let others = below.into_iter().filter(|name| name != bucket);
        let buckets: Vec<String> = std::iter::once(bucket.to_owned()).chain(others).collect();
        let channels = channels(registry, &buckets).await?;
        more |= !waiting.is_empty();
        Ok(RevocationImpact { buckets, descendants, more, channels })
    }

    /// The channels that point elsewhere now.
    ///
    /// # Errors
    /// Those of the registry.
    pub async fn moved_channels(&self, registry: &dyn Registry) -> Result<Vec<MovedChannel>> {
        let now = channels(registry, &self.buckets).await?;
        let moved = self.channels.iter().filter_map(|(key, before)| {
            let after = now.get(key).filter(|after| *after != before)?;
            let ((bucket, channel), before, after) = (key.clone(), before.clone(), after.clone());
            Some(MovedChannel { bucket, channel, before, after })
        });
        Ok(moved.collect())
    }
}

/// The names of the versions that channels point at, by bucket and channel.
async fn channels(
    registry: &dyn Registry,
    buckets: &[String],
) -> Result<BTreeMap<(String, String), String>> {
    let mut found = BTreeMap::new();
    for bucket in buckets {
        let answer = registry.list_channels(bucket).await?;
        // `latest` and the like follow by themselves.
        for channel in answer.channels.into_iter().filter(|channel| !channel.managed) {
            let version = channel.version.map(|version| version.name).unwrap_or_default();
            found.insert((bucket.clone(), channel.name), version);
        }
    }
    Ok(found)
}
