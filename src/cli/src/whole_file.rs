//! Files of the user's that commands write: there whole, or not at all.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use ingot_sdk::whole_file::{self, Mode, Options};

/// Writes a file in one step, so that a reader or a crash sees the old text or the new. Links stay
/// links, owner and permissions what they were: where that is not possible, as with several hard links,
/// it is written in place. Missing directories are created.
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
        Err(error) if error.kind() == ErrorKind::NotFound => create(path, text),
        Err(error) => Err(error),
    }
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A file that may not be written to is not replaced either.
    let mut old = std::fs::OpenOptions::new().write(true).open(path)?;
    let found = old.metadata()?;
    if found.nlink() == 1 {
        let mode = Mode::Exact(found.permissions().mode());
        let owner = Some((found.uid(), found.gid()));
        let written =
            whole_file::write(path, text.as_bytes(), &Options { mode, owner, durable: true });
        // No file may be created beside it, or given to its owner, or it is mounted by itself, as into a
        // container.
        let refused = written.as_ref().is_err_and(|error| {
            matches!(
                error.kind(),
                ErrorKind::PermissionDenied
                    | ErrorKind::ReadOnlyFilesystem
                    | ErrorKind::ResourceBusy
                    | ErrorKind::InvalidInput
                    | ErrorKind::Unsupported
            )
        });
        if !refused {
            return written;
        }
    }
    // Cut last: what was there has room on a full disk.
    old.write_all(text.as_bytes())?;
    old.set_len(text.len() as u64)
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
    fn owner_and_other_names_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("file"), dir.path().join("other"));
        std::fs::write(&file, "before").unwrap();
        // Only root can give files away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(12_345), Some(12_346)).unwrap();
        }
        let owner = || {
            let found = file.metadata().unwrap();
            (found.uid(), found.gid())
        };
        let before = owner();
        write(&file, "new").unwrap();
        assert_eq!((std::fs::read_to_string(&file).unwrap(), owner()), ("new".to_owned(), before));
        std::fs::hard_link(&file, &other).unwrap();
        for text in ["longer", "two"] {
            write(&file, text).unwrap();
            assert_eq!(std::fs::read_to_string(&other).unwrap(), text);
        }
    }

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
