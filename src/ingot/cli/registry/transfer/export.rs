//! `ingot registry export`

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use ingot_registry::all_pages;
use ingot_registry::api::{AncestryQuery, BucketAncestryType, Parent};
use ingot_registry::client::Registry;
use ingot_sdk::{Error, Result};

use super::super::Session;
use super::super::output::line;
use super::file::{Export, ExportedBucket, ExportedVersion, FORM, LARGEST, sentence_list};
use crate::cli::whole_file;

#[derive(Debug, Args)]
pub(in crate::cli::registry) struct ExportArgs {
    /// The file to write
    file: PathBuf,
    /// A bucket; all of them unless one is given. Can be given again
    #[arg(long, value_name = "BUCKET")]
    bucket: Vec<String>,
}

/// Writes the buckets of the registry in use to a file.
pub(in crate::cli::registry) async fn export(args: &ExportArgs, session: &Session) -> Result<()> {
    let registry = session.registry();
    let all = session.buckets().await?;
    let unknown = args.bucket.iter().find(|name| all.iter().all(|bucket| bucket.name != **name));
    if let Some(name) = unknown {
        return Err(Error::new(format!("there is no bucket {name}")));
    }
    let mut buckets = Vec::new();
    let mut incomplete = 0;
    for mut bucket in all {
        if !args.bucket.is_empty() && !args.bucket.contains(&bucket.name) {
            continue;
        }
        let mut versions = Vec::new();
        for listed in session.versions(&bucket.name).await?.into_iter().rev() {
            if !listed.is_complete() {
                incomplete += 1;
                continue;
            }
            // With the builds' metadata, which lists leave out.
            let version = registry.get_version(&bucket.name, &listed.fingerprint).await;
            let version = version?;
            let parents = parents(registry, &bucket.name, &version.fingerprint).await?;
            versions.push(ExportedVersion { version, parents });
        }
        let channels = registry.list_channels(&bucket.name).await?.channels;
        let channels = channels.into_iter().filter(|channel| !channel.managed).collect();
        // It is one of the versions.
        bucket.latest_version = None;
        buckets.push(ExportedBucket { bucket, versions, channels });
    }
    let count: usize = buckets.iter().map(|bucket| bucket.versions.len()).sum();
    let outside = parents_outside(&buckets);
    let text = serde_json::to_string_pretty(&Export {
        ingot_registry_export: FORM,
        registry: session.connected.name.clone(),
        buckets,
    });
    let text = text.map_err(Error::caused_by)? + "\n";
    let file = args.file.display();
    if text.len() as u64 > LARGEST {
        let size = text.len() >> 20;
        return Err(Error::new(format!(
            "these buckets are {size} MiB, and a file of more than {} MiB could not be imported",
            LARGEST >> 20
        ))
        .hint("export fewer at once: -bucket=NAME"));
    }
    whole_file::write(&args.file, &text)
        .map_err(|error| Error::new(format!("{file} cannot be written: {error}")))?;
    line(format!("Exported {count} versions of {} to {file}.", session.connected.name));
    if incomplete > 0 {
        line(format!("{incomplete} incomplete versions were left out."));
    }
    if !outside.is_empty() {
        line(format!(
            "Some were built from versions of {}, which this file lacks. Where an import does not find \
             them, it cannot keep that ancestry; to export them, too: {}",
            sentence_list(&outside),
            outside.iter().map(|bucket| format!("-bucket={bucket}")).collect::<Vec<_>>().join(" ")
        ));
    }
    Ok(())
}

/// The buckets of the parents that are not among the buckets, by name.
fn parents_outside(buckets: &[ExportedBucket]) -> BTreeSet<String> {
    let parents = buckets.iter().flat_map(|bucket| &bucket.versions).flat_map(|one| &one.parents);
    let names: BTreeSet<String> = parents.map(|parent| parent.bucket_name.clone()).collect();
    let exported = |name: &String| buckets.iter().any(|bucket| bucket.bucket.name == *name);
    names.into_iter().filter(|name| !exported(name)).collect()
}

/// What a version was built from.
async fn parents(registry: &dyn Registry, bucket: &str, fingerprint: &str) -> Result<Vec<Parent>> {
    let query = AncestryQuery {
        kind: BucketAncestryType::Parents,
        version_fingerprint: fingerprint.to_owned(),
        ..AncestryQuery::default()
    };
    let query = &query;
    let ask = |page| async move { registry.list_ancestry(bucket, query, &page).await };
    let relations = all_pages(ask).await?;
    Ok(relations.into_iter().filter_map(|relation| relation.parent).collect())
}
