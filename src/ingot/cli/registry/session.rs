//! What the commands that use a registry work with.

use ingot_registry::api::{self, Version};
use ingot_registry::client::Registry;
use ingot_registry::{Connected, all_buckets, all_versions};
use ingot_sdk::{Error, Result};

/// What commands work with.
pub(in crate::cli) struct Session {
    pub(in crate::cli) connected: Connected,
}

impl Session {
    pub(in crate::cli) fn registry(&self) -> &dyn Registry {
        &*self.connected.registry
    }

    /// The version that a user means: by its fingerprint, its name (`v3`) or its id.
    pub(in crate::cli) async fn version(&self, bucket: &str, text: &str) -> Result<Version> {
        let registry = self.registry();
        match registry.get_version(bucket, text).await {
            Err(error) if error.is_absent() => {}
            result => return result.map_err(Error::from),
        }
        let versions = self.versions(bucket).await?;
        let found = versions.iter().find(|version| version.name == text || version.id == text);
        let none = || {
            let known: Vec<&str> = versions.iter().map(|version| version.name.as_str()).collect();
            let error = Error::new(format!("the bucket {bucket} has no version {text}"));
            match known.is_empty() {
                true => error.hint("it has no versions"),
                false => error.hint(format!(
                    "a version is its name, fingerprint or id; there are {}",
                    known.join(", ")
                )),
            }
        };
        let fingerprint = &found.ok_or_else(none)?.fingerprint;
        registry.get_version(bucket, fingerprint).await.map_err(Error::from)
    }

    /// All versions of a bucket, newest first.
    pub(in crate::cli) async fn versions(&self, bucket: &str) -> Result<Vec<Version>> {
        all_versions(self.registry(), bucket).await.map_err(Error::from)
    }

    /// All buckets, by name.
    pub(in crate::cli) async fn buckets(&self) -> Result<Vec<api::Bucket>> {
        all_buckets(self.registry()).await.map_err(Error::from)
    }
}
