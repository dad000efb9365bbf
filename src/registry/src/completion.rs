//! Whether a version is complete once a build of it is done. Ingot's registries complete it with its
//! last build; HCP Packer may do so a moment later.

use std::time::Duration;

use ingot_base::retry::Retry;
use tokio_util::sync::CancellationToken;

use crate::all_pages;
use crate::api::{BuildStatus, Result, Version};
use crate::client::Registry;
use crate::poll::poll;

/// How long a registry is waited for that has all builds of a version.
const WAIT: Retry = Retry {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(4),
    tries: None,
    timeout: Some(Duration::from_secs(30)),
};

/// What a version is after a build of it was done.
#[derive(Debug, Clone, PartialEq)]
pub enum Completion {
    /// It is complete.
    Complete(Version),
    /// Builds of it are missing: whoever does the last of them completes it.
    LacksBuilds(Version),
    /// All its builds are done, and the registry has not completed it for as long as was waited.
    Pending(Version),
}

impl Completion {
    /// The version, as it was seen last.
    pub fn into_version(self) -> Version {
        match self {
            Completion::Complete(version)
            | Completion::LacksBuilds(version)
            | Completion::Pending(version) => version,
        }
    }
}

/// Whether a version is complete after a build of it was done. Where all its builds are done and it is
/// not, the registry is given half a minute, or until `cancel` fires.
///
/// # Errors
/// Those of the registry.
pub async fn completion(
    registry: &dyn Registry,
    bucket: &str,
    fingerprint: &str,
    cancel: &CancellationToken,
) -> Result<Completion> {
    let version = registry.get_version(bucket, fingerprint).await?;
    if version.is_complete() {
        return Ok(Completion::Complete(version));
    }
    let ask = |page| async move { registry.list_builds(bucket, fingerprint, &page).await };
    let builds = all_pages(ask).await?;
    if builds.is_empty() || builds.iter().any(|build| build.status != BuildStatus::Done) {
        return Ok(Completion::LacksBuilds(version));
    }
    let look = || registry.get_version(bucket, fingerprint);
    let seen = poll(&WAIT, cancel, Version::is_complete, look).await?.unwrap_or(version);
    Ok(match seen.is_complete() {
        true => Completion::Complete(seen),
        false => Completion::Pending(seen),
    })
}
