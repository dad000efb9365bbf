//! The directory for what later runs can use again. It is Packer's own, with the same names in it,
//! so that both find each other's downloads.

use std::path::PathBuf;

use ingot_sdk::home::home_dir;
use ingot_sdk::{Context, Result, environment};

/// The path of `parts` in the cache: below `PACKER_CACHE_DIR`, else `$XDG_CACHE_HOME/packer`,
/// else `.cache/packer` of the home directory. The directory that will hold it is created.
///
/// # Errors
/// The directory cannot be created.
pub fn path(parts: &[&str]) -> Result<PathBuf> {
    let root = environment::set("PACKER_CACHE_DIR")
        .map(PathBuf::from)
        .or_else(|| {
            environment::set("XDG_CACHE_HOME").map(|cache| PathBuf::from(cache).join("packer"))
        })
        .unwrap_or_else(|| home_dir().unwrap_or_default().join(".cache/packer"));
    let root = std::path::absolute(&root)
        .with_context(|| format!("finding out where the cache {} is", root.display()))?;
    let path = parts.iter().fold(root, |path, part| path.join(part));
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("creating the cache directory {}", directory.display()))?;
    }
    Ok(path)
}
