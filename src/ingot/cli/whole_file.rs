//! Files that commands write: there whole, or not at all.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

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
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(metadata.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(directory)?;
    let mut builder = tempfile::Builder::new();
    // As of any new file: the umask takes from it what users do not want.
    let mut file = builder.permissions(Permissions::from_mode(0o666)).tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
