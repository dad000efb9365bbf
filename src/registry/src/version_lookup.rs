//! Versions by what users call them.

use ingot_base::{Error, Result};

use crate::all_versions;
use crate::api::Version;
use crate::client::Registry;

/// The version that a user means: by its fingerprint, its name (`v3`) or its id.
///
/// # Errors
/// The bucket has none that is called `text`, or the registry fails.
pub async fn find_version(registry: &dyn Registry, bucket: &str, text: &str) -> Result<Version> {
    match registry.get_version(bucket, text).await {
        Err(error) if error.is_absent() => {}
        result => return result.map_err(Error::from),
    }
    let versions = all_versions(registry, bucket).await?;
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
