//! What an import and its object are recognized by.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::s3::Others;

/// What an object is known by, so that nothing else is removed in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectMark {
    pub key: String,
    /// What its metadata hold.
    pub token: String,
    /// When its upload began, by this machine's clock.
    pub since: OffsetDateTime,
    /// Uploads to the key that were there before.
    pub others: Others,
    /// Whether it comes in parts.
    pub in_parts: bool,
    /// The id of an upload in parts.
    pub upload: Option<String>,
    /// Its version, in a bucket that keeps versions.
    pub version: Option<String>,
    /// Whether it is known to be there.
    pub written: bool,
}

/// What an import is known by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TaskMark {
    /// The token of the call, which is the import's tag too.
    pub token: String,
    pub bucket: String,
    pub key: String,
    /// Whether it has no tag, as the credentials may give it none.
    pub untagged: bool,
    /// The import's id.
    pub task: Option<String>,
    /// The AMI that it has made.
    pub image: Option<String>,
    /// Snapshots of the AMI.
    pub snapshots: BTreeSet<String>,
}
