//! Files of what outlives a run, beside the journals.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ingot_sdk::{Context, Result};

/// Writes the file `name` in `directory` for its owner only: durably, and whole or not at all.
///
/// # Errors
/// It cannot be written; what was there before is untouched.
pub(crate) fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let writing = || format!("writing to {}", directory.display());
    let file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory);
    let mut file = file.with_context(writing)?;
    file.write_all(bytes).with_context(writing)?;
    file.as_file().sync_all().with_context(writing)?;
    let path = directory.join(name);
    file.persist(&path).map_err(|failed| failed.error).with_context(writing)?;
    if let Ok(directory) = std::fs::File::open(directory) {
        // The name has to last too.
        let _ = directory.sync_all();
    }
    Ok(path)
}
