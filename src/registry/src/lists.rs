//! Lists of a registry that are read as a whole.

use crate::all_pages;
use crate::api::{AncestryQuery, Bucket, BucketAncestry, BucketAncestryType, Result, Version};
use crate::client::Registry;

/// All buckets, by name.
///
/// # Errors
/// Those of the registry.
pub async fn all_buckets(registry: &dyn Registry) -> Result<Vec<Bucket>> {
    let ask = |page| async move { registry.list_buckets(&page).await };
    all_pages(ask).await
}

/// All versions of a bucket, newest first, without the metadata of their builds.
///
/// # Errors
/// Those of the registry.
pub async fn all_versions(registry: &dyn Registry, bucket: &str) -> Result<Vec<Version>> {
    let ask = |page| async move { registry.list_versions(bucket, &page).await };
    all_pages(ask).await
}

/// The parents or the children of a version. An empty `fingerprint` stands for the newest complete
/// version where parents are asked for, and for any version where children are.
///
/// # Errors
/// Those of the registry.
pub async fn all_relations(
    registry: &dyn Registry,
    bucket: &str,
    kind: BucketAncestryType,
    fingerprint: &str,
) -> Result<Vec<BucketAncestry>> {
    let query = AncestryQuery {
        kind,
        version_fingerprint: fingerprint.to_owned(),
        ..AncestryQuery::default()
    };
    let query = &query;
    let ask = |page| async move { registry.list_ancestry(bucket, query, &page).await };
    all_pages(ask).await
}
