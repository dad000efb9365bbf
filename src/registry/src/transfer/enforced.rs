//! Enforced blocks on their way from one registry to the other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::sboms::is_unknown;
use crate::api::{
    Code, CreateEnforcedBlockBody, CreateEnforcedBlockVersionBody, EnforcedBlockVersion, Labels,
    LinkBucketsBody, Result, TemplateType,
};
use crate::client::Registry;

/// An enforced block.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExportedBlock {
    pub(super) name: String,
    pub(super) labels: Labels,
    /// Oldest first.
    pub(super) versions: Vec<ExportedBlockVersion>,
}

/// A version of an enforced block.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExportedBlockVersion {
    pub(super) version: String,
    pub(super) template_type: TemplateType,
    pub(super) block_content: String,
    pub(super) additional_description: String,
    /// The buckets that are linked to it.
    pub(super) buckets: Vec<String>,
}

/// Whether a registry has no enforced blocks, or does not let this principal have them.
fn is_denied(code: Code) -> bool {
    is_unknown(code) || code == Code::PermissionDenied
}

/// The versions of a block, newest first.
async fn versions(registry: &dyn Registry, id: &str) -> Result<Vec<EnforcedBlockVersion>> {
    let details = registry.enforced_block_versions(id).await?.enforced_block_detail.into_iter();
    Ok(details.filter_map(|detail| detail.version).collect())
}

/// The buckets that a version is linked to.
async fn linked(registry: &dyn Registry, version: &EnforcedBlockVersion) -> Result<Vec<String>> {
    let found = registry.linked_buckets(&version.enforced_block_id, &version.id).await?;
    let buckets = found.linked_buckets.into_iter().filter_map(|link| link.bucket);
    Ok(buckets.map(|bucket| bucket.name).collect())
}

/// All enforced blocks, or those that are linked to one of `buckets` if only a part of a registry is
/// exported. None, and why, if the registry does not let them be used.
pub(super) async fn export(
    registry: &dyn Registry,
    buckets: &BTreeSet<&str>,
    all: bool,
) -> Result<(Vec<ExportedBlock>, Option<String>)> {
    let blocks = match registry.list_enforced_blocks().await {
        // A registry without them has none to leave behind.
        Err(error) if is_unknown(error.code) => return Ok((Vec::new(), None)),
        Err(error) if is_denied(error.code) => return Ok((Vec::new(), Some(error.message))),
        listed => listed?,
    };
    let mut exported = Vec::new();
    for block in blocks {
        let mut found = Vec::new();
        for version in versions(registry, &block.id).await?.into_iter().rev() {
            let mut linked = linked(registry, &version).await?;
            linked.retain(|name| buckets.contains(name.as_str()));
            found.push(ExportedBlockVersion {
                version: version.version,
                template_type: version.template_type,
                block_content: version.block_content,
                additional_description: version.additional_description,
                buckets: linked,
            });
        }
        if all || found.iter().any(|version| !version.buckets.is_empty()) {
            exported.push(ExportedBlock {
                name: block.name,
                labels: block.labels,
                versions: found,
            });
        }
    }
    Ok((exported, None))
}

/// The blocks that a bucket is linked to, by name, in the order in which builds run them; none if it is
/// linked to less than two.
pub(super) async fn order(
    registry: &dyn Registry,
    blocks: &[ExportedBlock],
    bucket: &str,
) -> Result<Vec<String>> {
    let links = |block: &&ExportedBlock| {
        block.versions.iter().any(|version| version.buckets.iter().any(|name| name == bucket))
    };
    if blocks.iter().filter(links).count() < 2 {
        return Ok(Vec::new());
    }
    let details = registry.enforced_blocks(bucket).await?.enforced_block_detail;
    Ok(details.into_iter().map(|detail| detail.name).collect())
}

/// The enforced blocks that were not imported.
#[derive(Debug, Default)]
pub struct SkippedBlocks {
    /// Why none was, if the registry does not let them be used.
    pub denied: Option<String>,
    /// The versions that have other contents in this registry, each with the buckets that it was not
    /// linked to.
    pub differing: Vec<String>,
}

/// The names of buckets, and of the blocks that each is linked to in the order in which builds run them,
/// where the file has it.
pub(super) type Orders<'e> = BTreeMap<&'e str, &'e [String]>;

/// An enforced block that has all of its versions in the registry.
struct ImportedBlock<'e> {
    name: &'e str,
    id: String,
    /// The versions, each with the buckets that are to be linked to it.
    links: Vec<(EnforcedBlockVersion, Vec<&'e String>)>,
}

/// Creates what is missing of enforced blocks, and links those of `buckets` to them that are not
/// linked to another version.
pub(super) async fn import(
    registry: &dyn Registry,
    blocks: &[ExportedBlock],
    buckets: &Orders<'_>,
    all: bool,
) -> Result<SkippedBlocks> {
    let mut skipped = SkippedBlocks::default();
    let mut imported = Vec::new();
    for block in blocks {
        let concerns = |version: &ExportedBlockVersion| {
            version.buckets.iter().any(|name| buckets.contains_key(name.as_str()))
        };
        if !all && !block.versions.iter().any(concerns) {
            continue;
        }
        match import_block(registry, block, buckets, &mut skipped.differing).await {
            Err(error) if is_denied(error.code) => {
                skipped.denied = Some(error.message);
                return Ok(skipped);
            }
            found => imported.extend(found?),
        }
    }
    match link(registry, &imported, buckets).await {
        Err(error) if is_denied(error.code) => skipped.denied = Some(error.message),
        linked => linked?,
    }
    Ok(skipped)
}

/// Links buckets to the first of their blocks, then to the second, and so on: builds run them in the
/// order in which they were linked.
async fn link(
    registry: &dyn Registry,
    blocks: &[ImportedBlock<'_>],
    orders: &Orders<'_>,
) -> Result<()> {
    // Files of older programs have no order: theirs is that of the names.
    let place = |bucket: &str, block: &str| {
        let order = orders.get(bucket).copied().unwrap_or_default();
        order.iter().position(|name| name == block).unwrap_or(order.len())
    };
    let places = |block: &ImportedBlock<'_>| -> Vec<usize> {
        let buckets = block.links.iter().flat_map(|(_, buckets)| buckets);
        buckets.map(|bucket| place(bucket, block.name)).collect()
    };
    let rounds: BTreeSet<usize> = blocks.iter().flat_map(places).collect();
    for round in rounds {
        for block in blocks {
            for (version, buckets) in &block.links {
                let buckets = buckets.iter().filter(|it| place(it, block.name) == round);
                let add_bucket_names: Vec<String> = buckets.map(|it| (*it).clone()).collect();
                if add_bucket_names.is_empty() {
                    continue;
                }
                let mut bucket_names = linked(registry, version).await?;
                bucket_names.extend(add_bucket_names.iter().cloned());
                let body = LinkBucketsBody { bucket_names, add_bucket_names, ..Default::default() };
                registry.link_buckets(&block.id, &version.id, &body).await?;
            }
        }
    }
    Ok(())
}

/// Whether a version makes builds run something else than the one of its name in the file.
fn differs(there: &EnforcedBlockVersion, exported: &ExportedBlockVersion) -> bool {
    there.block_content != exported.block_content || there.template_type != exported.template_type
}

/// Creates what is missing of an enforced block. None if it has no versions. Those that are others here are
/// added to `differing`.
async fn import_block<'e>(
    registry: &dyn Registry,
    block: &'e ExportedBlock,
    buckets: &Orders<'_>,
    differing: &mut Vec<String>,
) -> Result<Option<ImportedBlock<'e>>> {
    let there = registry.list_enforced_blocks().await?;
    let mut id = there.into_iter().find(|it| it.name == block.name).map(|it| it.id);
    for exported in &block.versions {
        let ExportedBlockVersion { version, template_type, block_content, .. } = exported;
        let known = match &id {
            Some(id) => versions(registry, id).await?,
            None => Vec::new(),
        };
        match &id {
            None => {
                let body = CreateEnforcedBlockBody {
                    name: block.name.clone(),
                    version: version.clone(),
                    block_content: block_content.clone(),
                    template_type: *template_type,
                    additional_description: exported.additional_description.clone(),
                    labels: block.labels.clone(),
                };
                id = Some(registry.create_enforced_block(&body).await?.id);
            }
            Some(id) if known.iter().all(|it| it.version != *version) => {
                let body = CreateEnforcedBlockVersionBody {
                    version: version.clone(),
                    block_content: block_content.clone(),
                    template_type: *template_type,
                    additional_description: exported.additional_description.clone(),
                };
                registry.create_enforced_block_version(id, &body).await?;
            }
            Some(_) => {}
        }
    }
    let Some(id) = id else { return Ok(None) };
    let known = versions(registry, &id).await?;
    let mut taken = BTreeSet::new();
    for version in &known {
        taken.extend(linked(registry, version).await?);
    }
    let mut links = Vec::new();
    for exported in &block.versions {
        let wanted = exported.buckets.iter();
        let wanted = wanted.filter(|it| buckets.contains_key(it.as_str()) && !taken.contains(*it));
        let wanted: Vec<&'e String> = wanted.collect();
        let version = known.iter().find(|it| it.version == exported.version);
        if version.is_some_and(|it| differs(it, exported)) {
            let named = format!("{} {}", block.name, exported.version);
            let names: Vec<&str> = wanted.iter().map(|it| it.as_str()).collect();
            differing.push(match names.is_empty() {
                true => named,
                false => format!("{named} (not linked: {})", names.join(", ")),
            });
            continue;
        }
        links.extend(version.map(|version| (version.clone(), wanted)));
    }
    Ok(Some(ImportedBlock { name: &block.name, id, links }))
}
