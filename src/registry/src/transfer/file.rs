//! The file that an export writes and an import reads.

use std::io::Read as _;
use std::path::Path;

use ingot_base::Error;
use serde::{Deserialize, Serialize};

use super::enforced::ExportedBlock;
use super::error::{ExportError, ReadError, ReadProblem};
use super::sboms::ExportedSbom;
use crate::api::{Bucket, Channel, Parent, Version};

/// The form of the file that this program writes.
pub(super) const FORM: u32 = 2;
/// That of files without SBOMs, enforced blocks and restricted managed channels, which older programs
/// read, too. They would leave these out without a word.
pub(super) const PLAIN: u32 = 1;

/// The largest file that is read, in bytes: some hundred thousand versions.
pub(super) const LARGEST: u64 = 256 << 20;

/// Buckets of a registry with all that is in them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Export {
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

    /// The text of the file.
    ///
    /// # Errors
    /// It is larger than what [`Export::read`] takes.
    pub fn to_json(&self) -> Result<String, ExportError> {
        let text = serde_json::to_string_pretty(self).map_err(Error::caused_by)? + "\n";
        match text.len() as u64 > LARGEST {
            true => Err(ExportError::too_large(text.len() as u64)),
            false => Ok(text),
        }
    }

    /// Reads a file. This blocks: it may be a pipe.
    ///
    /// # Errors
    /// It cannot be read, or is no export that this program knows.
    pub fn read(path: &Path) -> Result<Export, ReadError> {
        Self::read_file(path).map_err(|problem| ReadError { path: path.to_owned(), problem })
    }

    fn read_file(path: &Path) -> Result<Export, ReadProblem> {
        let mut text = String::new();
        let opened = std::fs::File::open(path).map_err(ReadProblem::Io)?;
        opened.take(LARGEST + 1).read_to_string(&mut text).map_err(ReadProblem::Io)?;
        if text.len() as u64 > LARGEST {
            return Err(ReadProblem::TooLarge);
        }
        let export: Export = serde_json::from_str(&text).map_err(ReadProblem::Malformed)?;
        for ExportedBucket { bucket, versions, channels, .. } in &export.buckets {
            let versions = versions.iter().map(|exported| &exported.version.bucket_name);
            let mut names = versions.chain(channels.iter().map(|channel| &channel.bucket_name));
            if let Some(other) = names.find(|name| **name != bucket.name) {
                let (bucket, other) = (bucket.name.clone(), other.clone());
                return Err(ReadProblem::Damaged { bucket, other });
            }
        }
        match export.ingot_registry_export {
            PLAIN | FORM => Ok(export),
            format => Err(ReadProblem::UnknownFormat { format }),
        }
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
    /// The enforced blocks that it is linked to, by name, in the order in which builds run them, where
    /// there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) enforced_blocks: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExportedVersion {
    pub(super) version: Version,
    /// What it was built from.
    pub(super) parents: Vec<Parent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sboms: Vec<ExportedSbom>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_export_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("export.json");
        let refused = |text: &str| {
            std::fs::write(&path, text).expect("it is written");
            let error = Export::read(&path).expect_err("it is no export").to_string();
            error.replace(&path.display().to_string(), "FILE")
        };
        assert!(refused("{}").starts_with("FILE is not an export of a registry: missing field"));
        assert_eq!(
            refused(r#"{"ingot_registry_export": 3, "registry": "local", "buckets": []}"#),
            "FILE has format 3; this Ingot reads formats 1 and 2"
        );
        let other = r#"{"ingot_registry_export": 1, "registry": "local", "buckets": [
            {"bucket": {"name": "a"}, "versions": [], "channels": [{"bucket_name": "b"}]}]}"#;
        assert_eq!(refused(other), "FILE is damaged: the bucket a holds something of b");
    }
}
