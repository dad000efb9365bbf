//! `ingot registry export`

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use ingot_registry::all_relations;
use ingot_registry::api::{BucketAncestryType, Parent};
use ingot_registry::client::Registry;
use ingot_sdk::{Error, Result};

use super::super::output::line;
use super::super::session::Session;
use super::file::{Export, ExportedBucket, ExportedVersion, LARGEST, PLAIN, sentence_list};
use super::{enforced, sboms};
use crate::cli::args::go_bool;
use crate::cli::whole_file;

#[derive(Debug, Args)]
pub(in crate::cli::registry) struct ExportArgs {
    /// The file to write
    file: PathBuf,
    /// A bucket; all unless it is given; can be given again
    #[arg(long, value_name = "BUCKET")]
    bucket: Vec<String>,
    /// Include the SBOMs of builds, which may be large
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_parser = go_bool)]
    sboms: bool,
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
    let mut sbom_bytes = 0;
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
            let sboms = match args.sboms {
                true => sboms::of_version(registry, &version).await?,
                false => Vec::new(),
            };
            sbom_bytes += sboms.iter().map(|sbom| sbom.document.len() as u64).sum::<u64>();
            // What would be too large is not gathered first.
            if sbom_bytes > LARGEST {
                return Err(too_large(sbom_bytes));
            }
            versions.push(ExportedVersion { version, parents, sboms });
        }
        let channels = registry.list_channels(&bucket.name).await?.channels;
        let latest_is_restricted = channels.iter().any(|it| it.managed && it.restricted);
        let channels = channels.into_iter().filter(|channel| !channel.managed).collect();
        // It is one of the versions.
        bucket.latest_version = None;
        buckets.push(ExportedBucket { bucket, versions, channels, latest_is_restricted });
    }
    let names: BTreeSet<&str> = buckets.iter().map(|it| it.bucket.name.as_str()).collect();
    let blocks = enforced::export(registry, &names, args.bucket.is_empty()).await;
    let (enforced_blocks, out_of_reach) = blocks?;
    let count: usize = buckets.iter().map(|bucket| bucket.versions.len()).sum();
    let outside = parents_outside(&buckets);
    let mut export = Export {
        ingot_registry_export: PLAIN,
        registry: session.connected.name.clone(),
        buckets,
        enforced_blocks,
    };
    export.ingot_registry_export = export.form();
    let text = serde_json::to_string_pretty(&export);
    let text = text.map_err(Error::caused_by)? + "\n";
    let file = args.file.display();
    if text.len() as u64 > LARGEST {
        return Err(too_large(text.len() as u64));
    }
    whole_file::write(&args.file, &text)
        .map_err(|error| Error::new(format!("{file} cannot be written: {error}")))?;
    line(format!("Exported {count} versions of {} to {file}.", session.connected.name));
    if incomplete > 0 {
        line(format!("{incomplete} incomplete versions were left out."));
    }
    if let Some(why) = out_of_reach {
        line(format!("Enforced blocks were left out: {why}."));
    }
    if !args.sboms {
        line(
            "SBOMs were left out; a version that was imported without them cannot get them later.",
        );
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

fn too_large(bytes: u64) -> Error {
    Error::new(format!(
        "these buckets are {} MiB, and a file of more than {} MiB could not be imported",
        bytes >> 20,
        LARGEST >> 20
    ))
    .hint("export fewer at once: -bucket=NAME; or without the SBOMs: -sboms=false")
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
    let kind = BucketAncestryType::Parents;
    let relations = all_relations(registry, bucket, kind, fingerprint).await?;
    Ok(relations.into_iter().filter_map(|relation| relation.parent).collect())
}
