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
    // A pipe is open by another name than its own, as `/dev/stdout` is: it cannot be replaced.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        let mut open = std::fs::OpenOptions::new().write(true).open(path)?;
        return open.write_all(text.as_bytes());
    }
    match path.canonicalize() {
        Ok(path) => replace(&path, text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(path, text),
        Err(error) => Err(error),
    }
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A file that may not be written to is not replaced either.
    let old = std::fs::OpenOptions::new().write(true).open(path)?;
    let mode = Mode::Exact(old.metadata()?.permissions().mode());
    whole_file::write(path, text.as_bytes(), &Options { mode, ..Options::default() })
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    // A link to a file that is not there yet stays a link.
    let target = std::fs::read_link(path).map(|to| path.parent().unwrap_or(Path::new("")).join(to));
    let path = target.as_deref().unwrap_or(path);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mode = Mode::Umask(0o666);
    whole_file::write(path, text.as_bytes(), &Options { mode, ..Options::default() })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_stay_links() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        // As `/dev/stdout` is one to a pipe.
        let (mut reader, writer) = std::io::pipe().unwrap();
        symlink(format!("/proc/self/fd/{}", writer.as_raw_fd()), at("pipe")).unwrap();
        write(&at("pipe"), "hello").unwrap();
        drop(writer);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "hello");
        assert!(at("pipe").is_symlink());
        // To a file that is not there yet.
        symlink("new/file", at("link")).unwrap();
        write(&at("link"), "world").unwrap();
        assert!(at("link").is_symlink());
        assert_eq!(std::fs::read_to_string(at("new/file")).unwrap(), "world");
    }
}
