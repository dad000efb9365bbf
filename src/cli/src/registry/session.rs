//! What the commands that use a registry work with.

use ingot_registry::api::{self, Version};
use ingot_registry::client::Registry;
use ingot_registry::{Connected, all_buckets, all_versions, find_version};
use ingot_sdk::{Error, Result};

/// What commands work with.
pub(super) struct Session {
    pub(super) connected: Connected,
}

impl Session {
    pub(super) fn registry(&self) -> &dyn Registry {
        &*self.connected.registry
    }

    /// The version that a user means: by its fingerprint, its name (`v3`) or its id.
    pub(super) async fn version(&self, bucket: &str, text: &str) -> Result<Version> {
        find_version(self.registry(), bucket, text).await
    }

    /// All versions of a bucket, newest first.
    pub(super) async fn versions(&self, bucket: &str) -> Result<Vec<Version>> {
        all_versions(self.registry(), bucket).await.map_err(Error::from)
    }

    /// All buckets, by name.
    pub(super) async fn buckets(&self) -> Result<Vec<api::Bucket>> {
        all_buckets(self.registry()).await.map_err(Error::from)
    }
}
