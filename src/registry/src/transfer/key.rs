//! What versions are known by in every registry.

use crate::api::Version;

/// The bucket and fingerprint of a version.
pub(super) type Key = (String, String);

/// The bucket and fingerprint of a version.
pub(super) fn key(version: &Version) -> Key {
    (version.bucket_name.clone(), version.fingerprint.clone())
}
