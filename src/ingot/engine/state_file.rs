//! Files of what outlives a run, beside the journals.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ingot_sdk::{Context, Result};
use tempfile::NamedTempFile;

/// Writes the file `name` in `directory` for its owner only: durably, and whole or not at all.
///
/// # Errors
/// It cannot be written; what was there before is untouched.
pub(crate) fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let file = unnamed(directory, bytes)?;
    let writing = || format!("writing to {}", directory.display());
    file.as_file().sync_all().with_context(writing)?;
    let path = named(file, directory, name)?;
    if let Ok(directory) = std::fs::File::open(directory) {
        // The name has to last too.
        let _ = directory.sync_all();
    }
    Ok(path)
}

/// The same for what can be made anew: after a loss of power, the file may be empty.
///
/// # Errors
/// It cannot be written; what was there before is untouched.
pub(crate) fn write_replaceable(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    named(unnamed(directory, bytes)?, directory, name)
}

fn unnamed(directory: &Path, bytes: &[u8]) -> Result<NamedTempFile> {
    let writing = || format!("writing to {}", directory.display());
    let file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory);
    let mut file = file.with_context(writing)?;
    file.write_all(bytes).with_context(writing)?;
    Ok(file)
}

fn named(file: NamedTempFile, directory: &Path, name: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    let persisted = file.persist(&path).map_err(|failed| failed.error);
    persisted.with_context(|| format!("writing to {}", directory.display()))?;
    Ok(path)
}
