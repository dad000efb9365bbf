//! Which versions were built from which.

use std::collections::{BTreeSet, HashMap};
use std::slice;

use super::{Session, no_version, page, view};
use crate::api::*;
use crate::store::{Tx, VersionRow};

/// How many versions that were built from one are looked at.
const MOST: u32 = 10_000;

impl Session {
    pub(super) async fn ancestry_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        query: &AncestryQuery,
        page: &Page,
    ) -> Result<ListBucketAncestryResponse> {
        let row = self.find_bucket(tx, bucket).await?;
        let version = match query.version_fingerprint.as_str() {
            "" => None,
            fingerprint => {
                let version = tx.version(&row.id, fingerprint).await?;
                Some(version.ok_or_else(|| no_version(bucket, fingerprint))?)
            }
        };
        let mut relations = Vec::new();
        if query.kind != BucketAncestryType::Children {
            let child = version.as_ref().map(|version| &version.id);
            if let Some(child) = child.or(row.latest_version_id.as_ref()) {
                relations.extend(tx.parents_of(slice::from_ref(child), self.sees_all()).await?);
            }
        }
        if query.kind != BucketAncestryType::Parents {
            // Of a bucket what is in use; of a version all that was built from it, revoked or not:
            // who revokes one has to know.
            relations.extend(match &version {
                Some(version) => {
                    let mut found = tx.built_from(&version.id, None, self.sees_all(), MOST).await?;
                    // What is built while a client reads the list comes after what it has read.
                    found.reverse();
                    found
                }
                None => tx.children_of(slice::from_ref(&row.id), self.sees_all()).await?,
            });
        }
        if !query.channel_name.is_empty() {
            relations
                .retain(|relation| relation.channel_name.as_ref() == Some(&query.channel_name));
        }
        let total = i32::try_from(relations.len()).unwrap_or(i32::MAX);
        let (relations, pagination) = page::cut_list(relations, page)?;

        let ids: BTreeSet<String> = relations
            .iter()
            .flat_map(|relation| {
                let now = relation.channel_version_id.clone();
                [Some(relation.parent_id.clone()), Some(relation.child_id.clone()), now]
            })
            .flatten()
            .collect();
        let ids: Vec<String> = ids.into_iter().collect();
        let rows: HashMap<String, VersionRow> =
            tx.versions_by_id(&ids).await?.into_iter().map(|row| (row.id.clone(), row)).collect();
        let mut seen = Vec::new();
        for relation in relations {
            let status = view::relation_status(&relation);
            let now = relation.channel_version_id.as_ref().and_then(|id| rows.get(id));
            let channel_version = now.map(|row| ChannelVersion {
                id: row.id.clone(),
                name: row.name(),
                fingerprint: row.fingerprint.clone(),
            });
            let parent = rows.get(&relation.parent_id).map(|row| Parent {
                bucket_name: row.bucket_name.clone(),
                version_id: row.id.clone(),
                version_name: row.name(),
                version_fingerprint: row.fingerprint.clone(),
                channel_name: relation.channel_name.clone().unwrap_or_default(),
                channel_version,
            });
            let child = rows.get(&relation.child_id).map(|row| Child {
                bucket_name: row.bucket_name.clone(),
                version_id: row.id.clone(),
                version_name: row.name(),
                version_fingerprint: row.fingerprint.clone(),
            });
            seen.push(BucketAncestry { parent, child, status });
        }
        Ok(ListBucketAncestryResponse {
            relations: seen,
            total_count: total,
            pagination: Some(pagination),
        })
    }
}
