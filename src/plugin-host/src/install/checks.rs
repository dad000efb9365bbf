//! What is checked before a program takes its place.

use std::collections::BTreeMap;
use std::path::Path;

use ingot_sdk::{Context, Error, Result};
use semver::Version;

use super::candidate::Asset;
use super::origin::Origin;
use crate::cache;
use crate::description::Description;
use crate::discovery::{self};
use crate::lock_file::LockedPlugin;

/// Why none of `assets` will do.
pub(super) fn unfit_platforms(version: &Version, platform: &str, assets: &[Asset]) -> String {
    if let Some(other) = assets.iter().find(|asset| asset.platform == platform) {
        let spoken = other.api.as_deref().unwrap_or_default().trim_start_matches('x');
        return format!(
            "version {version} speaks version {spoken} of the plugin protocol, not 5.0"
        );
    }
    let mut others: Vec<&str> = assets.iter().map(|asset| asset.platform.as_str()).collect();
    others.sort_unstable();
    others.dedup();
    match others.is_empty() {
        true => format!("version {version} has no programs"),
        false => format!(
            "version {version} has no program for {platform}, only for {}",
            others.join(", ")
        ),
    }
}

/// The hashes of the archives that could be installed, by platform: of several, the first is taken.
pub(super) fn archives_of(assets: &[Asset]) -> BTreeMap<String, String> {
    let mut archives = BTreeMap::new();
    for asset in assets.iter().filter(|asset| asset.archive && asset.usable()) {
        archives.entry(asset.platform.clone()).or_insert_with(|| asset.sha256.clone());
    }
    archives
}

/// Compares what would be downloaded with a lock file.
pub(super) fn check_lock(locked: &LockedPlugin, asset: &Asset, cache: Option<&Path>) -> Result<()> {
    let only_archive = !locked.programs.contains_key(&asset.platform);
    if !asset.archive
        && only_archive
        && !locked.proves_program(&asset.platform, &asset.sha256, cache)
    {
        return Err(Error::new(format!(
            "the lock file knows only the archive of this plugin, not the program; {} cannot be \
             compared with it",
            asset.file
        ))
        .hint("install it from where its archives are: the network, or a mirror that has them"));
    }
    let hashes = if asset.archive { &locked.archives } else { &locked.programs };
    match hashes.get(&asset.platform) {
        Some(hash) if *hash != asset.sha256 => Err(Error::new(format!(
            "{} has the SHA-256 {} now, not {hash} as in the lock file: the release was changed, or \
             is not the one that was locked",
            asset.file, asset.sha256
        ))
        .hint("if the change is right, remove the plugin from the lock file and run `ingot init`")),
        _ => Ok(()),
    }
}

/// The version that a program says it is.
pub(super) fn described_version(described: &Description) -> Result<Version, String> {
    let text = described.version.trim_start_matches('v');
    Version::parse(text).map_err(|error| {
        format!(
            "the version that the program says it is, {:?}, is invalid: {error}",
            described.version
        )
    })
}

pub(super) fn speaks(described: &Description) -> Result<(), String> {
    match described.api_version == discovery::API {
        true => Ok(()),
        false => Err(format!(
            "it speaks version {:?} of the plugin protocol, not {}",
            described.api_version,
            discovery::API
        )),
    }
}

/// Whether a program is the release `version`.
pub(super) fn is_release(described: &Description, version: &Version) -> Result<(), String> {
    let says = described_version(described)?;
    speaks(described)?;
    let core = (says.major, says.minor, says.patch);
    if core != (version.major, version.minor, version.patch) {
        return Err(format!("the program says that it is version {says}"));
    }
    match says.pre.is_empty() {
        true => Ok(()),
        false => Err(format!("the program says that it is the pre-release {says}")),
    }
}

/// Compares a file with its checksum.
pub(super) fn check_sum(path: &Path, expected: &str, origin: &Origin) -> Result<()> {
    let actual = cache::hash(None, path).with_context(|| format!("reading {}", path.display()))?;
    match actual.eq_ignore_ascii_case(expected) {
        true => Ok(()),
        false => Err(Error::new(format!(
            "wrong checksum: what {origin} sent has the SHA-256 {actual}, not {expected}"
        ))
        .hint("nothing was installed; if it happens again, ask those who publish the plugin")),
    }
}
