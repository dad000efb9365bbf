//! Versions by what users call them.

use ingot_base::{Error, Result};

use crate::all_versions;
use crate::api::Version;
use crate::client::Registry;

/// How many versions a message names.
const NAMED: usize = 20;

/// The version that a user means: by its fingerprint, its name (`v3`) or its id.
///
/// # Errors
/// The bucket has none that is called `text`, or several, or the registry fails.
pub async fn find_version(registry: &dyn Registry, bucket: &str, text: &str) -> Result<Version> {
    match registry.get_version(bucket, text).await {
        Err(error) if error.is_absent() => {}
        result => return result.map_err(Error::from),
    }
    let versions = all_versions(registry, bucket).await?;
    let fingerprint = &called(&versions, bucket, text)?.fingerprint;
    registry.get_version(bucket, fingerprint).await.map_err(Error::from)
}

/// The version of a bucket that has a name or an id. All that are not complete have the same name.
fn called<'a>(versions: &'a [Version], bucket: &str, text: &str) -> Result<&'a Version> {
    let found: Vec<&Version> =
        versions.iter().filter(|version| version.name == text || version.id == text).collect();
    let none = || Error::new(format!("the bucket {bucket} has no version {text}"));
    match found.as_slice() {
        [one] => Ok(*one),
        [] if versions.is_empty() => Err(none().hint("it has no versions")),
        [] => Err(none().hint(format!(
            "a version is its name, fingerprint or id; there are {}",
            list(versions.iter())
        ))),
        several => Err(Error::new(format!(
            "several versions of the bucket {bucket} are called {text}, as they are not complete"
        ))
        .hint(format!("name one by its fingerprint: {}", list(several.iter().copied())))),
    }
}

/// The first versions, by what only one of them is called.
fn list<'a>(versions: impl ExactSizeIterator<Item = &'a Version>) -> String {
    let more = if versions.len() > NAMED { ", …" } else { "" };
    let name = |version: &'a Version| match version.is_complete() {
        true => version.name.as_str(),
        false => version.fingerprint.as_str(),
    };
    let names: Vec<&str> = versions.take(NAMED).map(name).collect();
    format!("{}{more}", names.join(", "))
}
