//! Small files that programs keep: there whole or not at all, whoever reads them meanwhile.
//!
//! Files for the user are the SDK's `OutputFile`.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, fchown};
use std::path::Path;

/// How the name of a file begins while it is written.
const UNFINISHED: &str = ".new-";

/// The permission bits of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// These without the umask's, as those of any new file.
    Umask(u32),
    /// These.
    Exact(u32),
}

/// How a file is written. The default is for its owner only, and durably.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Who may use it.
    pub mode: Mode,
    /// Whether it outlasts a loss of power, which costs a moment. Else it may be empty then, and must
    /// be something that can be made anew.
    pub durable: bool,
    /// The user and group that it is given to, which only root can do.
    pub owner: Option<(u32, u32)>,
}

impl Default for Options {
    fn default() -> Self {
        Options { mode: Mode::Umask(0o600), durable: true, owner: None }
    }
}

/// Writes the file `path` in the place of what is there, in a directory that exists. Until all of it
/// is written, it is a file beside that with a name of its own.
///
/// Blocks; use it where blocking is allowed.
///
/// # Errors
/// It cannot be written; what was there before is untouched.
pub fn write(path: &Path, bytes: &[u8], options: &Options) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let created_with = match options.mode {
        Mode::Umask(mode) => mode,
        Mode::Exact(_) => 0o600,
    };
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(Permissions::from_mode(created_with))
        .tempfile_in(directory)?;
    if let Some((user, group)) = options.owner {
        fchown(file.as_file(), Some(user), Some(group))?;
    }
    file.write_all(bytes)?;
    if let Mode::Exact(mode) = options.mode {
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    if options.durable {
        file.as_file().sync_all()?;
    }
    file.persist(path)?;
    if options.durable {
        sync_directory(directory);
    }
    Ok(())
}

/// Lets the names in a directory outlast a loss of power, where the filesystem can do that.
pub fn sync_directory(directory: &Path) {
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for (text, options) in [
            ("one", Options::default()),
            ("two", Options { durable: false, ..Options::default() }),
            ("", Options::default()),
        ] {
            write(&path, text.as_bytes(), &options).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(mode(&path), 0o600);
        }
        let exact = Options { mode: Mode::Exact(0o666), ..Options::default() };
        write(&path, b"three", &exact).unwrap();
        assert_eq!(mode(&path), 0o666);
        // As any new file, whatever was there.
        let new = directory.path().join("new");
        std::fs::write(&new, "").unwrap();
        let plain = Options { mode: Mode::Umask(0o666), ..Options::default() };
        write(&path, b"four", &plain).unwrap();
        assert_eq!(mode(&path), mode(&new));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_cannot_be_replaced_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("directory");
        std::fs::create_dir(&path).unwrap();
        assert!(write(&path, b"text", &Options::default()).is_err());
        assert!(path.is_dir());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(write(&path.join("none/file"), b"text", &Options::default()).is_err());
    }
}
