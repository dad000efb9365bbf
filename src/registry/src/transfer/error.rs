//! Why a registry cannot be exported or imported.

use std::io;
use std::path::PathBuf;

use ingot_base::Error;

use super::file::{FORM, LARGEST, PLAIN};
use crate::api;

/// Why a registry cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The registry has no bucket of this name.
    #[error("there is no bucket {0}")]
    UnknownBucket(String),
    /// The file would be larger than what is read.
    #[error(
        "these buckets are {mebibytes} MiB, and a file of more than {} MiB could not be imported",
        LARGEST >> 20
    )]
    TooLarge {
        /// How large it would be.
        mebibytes: u64,
    },
    /// The registry failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl ExportError {
    /// That of a file of so many bytes.
    pub(super) fn too_large(bytes: u64) -> Self {
        ExportError::TooLarge { mebibytes: bytes >> 20 }
    }
}

impl From<api::Error> for ExportError {
    fn from(error: api::Error) -> Self {
        ExportError::Failed(error.into())
    }
}

/// Why a registry's export cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The export has no bucket of this name.
    #[error("the export has no bucket {0}")]
    UnknownBucket(String),
    /// The registry failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Why a file cannot be read as a registry's export.
#[derive(Debug, thiserror::Error)]
#[error("{} {problem}", .path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: ReadProblem,
}

/// What is wrong with the file of an export.
#[derive(Debug, thiserror::Error)]
pub enum ReadProblem {
    /// The system does not let it be read.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    /// It is larger than what is read.
    #[error("is larger than {} MiB", LARGEST >> 20)]
    TooLarge,
    /// It is something else.
    #[error("is not an export of a registry: {0}")]
    Malformed(#[source] serde_json::Error),
    /// A bucket has parts of another.
    #[error("is damaged: the bucket {bucket} holds something of {other}")]
    Damaged {
        /// The bucket.
        bucket: String,
        /// The other one.
        other: String,
    },
    /// It has a format of another Ingot.
    #[error("has format {format}; this Ingot reads formats {} and {}", PLAIN, FORM)]
    UnknownFormat {
        /// The format.
        format: u32,
    },
}

/// An error of a registry with what it was about.
pub(super) fn about(what: String) -> impl FnOnce(api::Error) -> Error {
    move |error| Error::from(error).context(what)
}
