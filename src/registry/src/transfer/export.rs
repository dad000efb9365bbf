//! Exporting buckets.

use std::collections::BTreeSet;

use super::enforced;
use super::error::ExportError;
use super::file::{Export, ExportedBucket, ExportedVersion, LARGEST, PLAIN};
use super::sboms::{self, VersionSboms};
use crate::api::{self, BucketAncestryType, Parent};
use crate::client::Registry;
use crate::{all_buckets, all_relations, all_versions};

/// What of a registry is exported.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The names of the buckets; empty for all.
    pub buckets: Vec<String>,
    /// Whether SBOMs are.
    pub sboms: bool,
}

/// An export, and what it lacks.
#[derive(Debug)]
pub struct Exported {
    /// The export.
    pub export: Export,
    /// How many versions it has.
    pub versions: usize,
    /// How many versions were left out, as they are not complete.
    pub incomplete: usize,
    /// Why there are no enforced blocks in it, if the registry does not let them be used.
    pub enforced_blocks_denied: Option<String>,
    /// Which SBOMs are not in it, as they are damaged, too large or gone, and why.
    pub unusable_sboms: Vec<String>,
    /// Why there are no SBOMs of some builds in it, if the registry does not list them.
    pub unlisted_sboms: Option<String>,
    /// The buckets that something in it was built from, and that are not in it.
    pub parents_outside: BTreeSet<String>,
}

/// Reads buckets of a registry that is called `name`, with all that is in them.
///
/// # Errors
/// The registry fails, or there is more than a file can hold.
pub async fn export(
    registry: &dyn Registry,
    name: &str,
    options: &ExportOptions,
) -> Result<Exported, ExportError> {
    let all = all_buckets(registry).await?;
    let unknown = options.buckets.iter().find(|name| all.iter().all(|it| it.name != **name));
    if let Some(name) = unknown {
        return Err(ExportError::UnknownBucket(name.clone()));
    }
    let mut buckets = Vec::new();
    let mut incomplete = 0;
    let mut unusable_sboms = Vec::new();
    let mut unlisted_sboms = None;
    let mut sbom_bytes = 0;
    for mut bucket in all {
        if !options.buckets.is_empty() && !options.buckets.contains(&bucket.name) {
            continue;
        }
        let mut versions = Vec::new();
        for listed in all_versions(registry, &bucket.name).await?.into_iter().rev() {
            if !listed.is_complete() {
                incomplete += 1;
                continue;
            }
            // With the builds' metadata, which lists leave out.
            let version = registry.get_version(&bucket.name, &listed.fingerprint).await?;
            let parents = parents(registry, &bucket.name, &version.fingerprint).await?;
            let VersionSboms { found: sboms, unusable, unlisted } = match options.sboms {
                true => sboms::of_version(registry, &version).await?,
                false => VersionSboms::default(),
            };
            unusable_sboms.extend(unusable);
            unlisted_sboms = unlisted_sboms.or(unlisted);
            sbom_bytes += sboms.iter().map(|sbom| sbom.document.len() as u64).sum::<u64>();
            // What would be too large is not gathered first.
            if sbom_bytes > LARGEST {
                return Err(ExportError::too_large(sbom_bytes));
            }
            versions.push(ExportedVersion { version, parents, sboms });
        }
        let channels = registry.list_channels(&bucket.name).await?.channels;
        let latest_is_restricted = channels.iter().any(|it| it.managed && it.restricted);
        let channels = channels.into_iter().filter(|channel| !channel.managed).collect();
        // It is one of the versions.
        bucket.latest_version = None;
        buckets.push(ExportedBucket {
            bucket,
            versions,
            channels,
            latest_is_restricted,
            enforced_blocks: Vec::new(),
        });
    }
    let names: BTreeSet<&str> = buckets.iter().map(|it| it.bucket.name.as_str()).collect();
    let blocks = enforced::export(registry, &names, options.buckets.is_empty()).await;
    let (enforced_blocks, enforced_blocks_denied) = blocks?;
    for exported in &mut buckets {
        let name = &exported.bucket.name;
        exported.enforced_blocks = enforced::order(registry, &enforced_blocks, name).await?;
    }
    let versions = buckets.iter().map(|bucket| bucket.versions.len()).sum();
    let parents_outside = parents_outside(&buckets);
    let mut export = Export {
        ingot_registry_export: PLAIN,
        registry: name.to_owned(),
        buckets,
        enforced_blocks,
    };
    export.ingot_registry_export = export.form();
    Ok(Exported {
        export,
        versions,
        incomplete,
        enforced_blocks_denied,
        unusable_sboms,
        unlisted_sboms,
        parents_outside,
    })
}

/// The buckets of the parents that are not among the buckets, by name.
fn parents_outside(buckets: &[ExportedBucket]) -> BTreeSet<String> {
    let parents = buckets.iter().flat_map(|bucket| &bucket.versions).flat_map(|one| &one.parents);
    let names: BTreeSet<String> = parents.map(|parent| parent.bucket_name.clone()).collect();
    let exported = |name: &String| buckets.iter().any(|bucket| bucket.bucket.name == *name);
    names.into_iter().filter(|name| !exported(name)).collect()
}

/// What a version was built from.
async fn parents(
    registry: &dyn Registry,
    bucket: &str,
    fingerprint: &str,
) -> api::Result<Vec<Parent>> {
    let kind = BucketAncestryType::Parents;
    let relations = all_relations(registry, bucket, kind, fingerprint).await?;
    Ok(relations.into_iter().filter_map(|relation| relation.parent).collect())
}
