//! The file that `ingot registry export` writes and `import` reads.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use ingot_registry::api::{Bucket, Channel, Parent, Version};
use ingot_sdk::{Error, Result};
use serde::{Deserialize, Serialize};

use super::enforced::ExportedBlock;
use super::sboms::ExportedSbom;

/// The form of the file that this program writes.
pub(super) const FORM: u32 = 2;
/// That of files without SBOMs, enforced blocks and restricted managed channels, which older programs
/// read, too. They would leave these out without a word.
pub(super) const PLAIN: u32 = 1;

/// The largest file that is read, in bytes: some hundred thousand versions.
pub(super) const LARGEST: u64 = 256 << 20;

/// The file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Export {
    /// [`FORM`] or [`PLAIN`].
    pub(super) ingot_registry_export: u32,
    /// The registry that it is of.
    pub(super) registry: String,
    pub(super) buckets: Vec<ExportedBucket>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) enforced_blocks: Vec<ExportedBlock>,
}

impl Export {
    /// The form that what is in it needs.
    pub(super) fn form(&self) -> u32 {
        let mut versions = self.buckets.iter().flat_map(|bucket| &bucket.versions);
        let plain = self.enforced_blocks.is_empty()
            && self.buckets.iter().all(|bucket| !bucket.latest_is_restricted)
            && versions.all(|version| version.sboms.is_empty());
        if plain { PLAIN } else { FORM }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExportedBucket {
    pub(super) bucket: Bucket,
    /// The complete ones, oldest first.
    pub(super) versions: Vec<ExportedVersion>,
    /// Without those that the registry manages.
    pub(super) channels: Vec<Channel>,
    /// Whether the managed channel is restricted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) latest_is_restricted: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExportedVersion {
    pub(super) version: Version,
    /// What it was built from.
    pub(super) parents: Vec<Parent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sboms: Vec<ExportedSbom>,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Export> {
    let file = path.display();
    let failed = |error: std::io::Error| Error::new(format!("{file} cannot be read: {error}"));
    let mut text = String::new();
    let opened = std::fs::File::open(path).map_err(failed)?;
    opened.take(LARGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LARGEST {
        return Err(Error::new(format!("{file} is larger than {} MiB", LARGEST >> 20))
            .hint("export and import it bucket by bucket: -bucket=NAME"));
    }
    let export: Export = serde_json::from_str(&text).map_err(|error| {
        Error::new(format!("{file} is not an export of a registry: {error}"))
            .hint("`ingot registry export FILE` writes one")
    })?;
    for ExportedBucket { bucket, versions, channels, .. } in &export.buckets {
        let versions = versions.iter().map(|exported| &exported.version.bucket_name);
        let mut names = versions.chain(channels.iter().map(|channel| &channel.bucket_name));
        if let Some(other) = names.find(|name| **name != bucket.name) {
            return Err(Error::new(format!(
                "{file} is damaged: the bucket {} holds something of {other}",
                bucket.name
            )));
        }
    }
    match export.ingot_registry_export {
        PLAIN | FORM => Ok(export),
        other => Err(Error::new(format!(
            "{file} has format {other}; this Ingot reads formats {PLAIN} and {FORM}"
        ))
        .hint("use the Ingot that wrote it, or a newer one")),
    }
}

/// Names in a sentence.
pub(super) fn sentence_list(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
