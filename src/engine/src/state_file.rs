//! Files of what outlives a run, beside the journals.

use std::path::{Path, PathBuf};

use ingot_sdk::whole_file::{self, Options};
use ingot_sdk::{Context, Result};

/// Writes the file `name` in `directory` for its owner only: durably, and whole or not at all.
///
/// # Errors
/// It cannot be written; what was there before is untouched.
pub fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    write_with(directory, name, bytes, &Options::default())
}

/// The same for what can be made anew: after a loss of power, the file may be empty.
///
/// # Errors
/// It cannot be written; what was there before is untouched.
pub(crate) fn write_replaceable(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    write_with(directory, name, bytes, &Options { durable: false, ..Options::default() })
}

fn write_with(directory: &Path, name: &str, bytes: &[u8], options: &Options) -> Result<PathBuf> {
    let path = directory.join(name);
    let written = whole_file::write(&path, bytes, options);
    written.with_context(|| format!("writing to {}", directory.display()))?;
    Ok(path)
}
