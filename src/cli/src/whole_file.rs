//! Files of the user's that commands write: there whole, or not at all.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ingot_sdk::whole_file::{self, Mode, Options};

/// Writes a file in one step, so that a reader or a crash sees the old text or the new. Links stay
/// links, permissions what they were. Missing directories are created.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(path: &Path, text: &str) -> std::io::Result<()> {
    match path.canonicalize() {
        Ok(path) => replace(&path, text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(path, text),
        Err(error) => Err(error),
    }
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A file that may not be written to is not replaced either.
    let mut old = std::fs::OpenOptions::new().write(true).open(path)?;
    let metadata = old.metadata()?;
    if !metadata.is_file() {
        return old.write_all(text.as_bytes());
    }
    let mode = Mode::Exact(metadata.permissions().mode());
    whole_file::write(path, text.as_bytes(), &Options { mode, ..Options::default() })
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mode = Mode::Umask(0o666);
    whole_file::write(path, text.as_bytes(), &Options { mode, ..Options::default() })
}
