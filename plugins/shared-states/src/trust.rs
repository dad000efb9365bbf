//! What in the directory is read at all.
//!
//! Who may write to a directory that a build's user does not own, such as one on a server's disk that
//! all may write to, must not decide what is in images. States are therefore read only where they, and
//! the directory that they are in, belong to the user who builds, or to whom the directory that the user
//! named belongs to, as where a server gives all files to one user. Links are not followed, and what is no
//! regular file is not opened: reading a pipe would wait, and reading some devices does things.

use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ingot_sdk::{Error, Result};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Whose files are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owners {
    own: u32,
    directory: u32,
}

impl Owners {
    /// Those of the directory that the user named.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub(crate) fn of(directory: &Path) -> std::io::Result<Owners> {
        let own = rustix::process::geteuid().as_raw();
        Ok(Owners { own, directory: std::fs::metadata(directory)?.uid() })
    }

    fn have(self, found: &Metadata) -> bool {
        [self.own, self.directory].contains(&found.uid())
    }

    /// Whether `path` is a directory of theirs, not a link to one.
    pub(crate) fn have_directory(self, path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && self.have(&found))
    }

    /// Whether `path` is a file of theirs.
    pub(crate) fn have_file(self, path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && self.have(&found))
    }
}

/// What becomes of opening a file.
pub(crate) enum Opened {
    /// It is not there.
    Absent,
    /// It is open.
    File(File),
    /// It must not be read, for this reason.
    Foreign(&'static str),
}

/// Opens the file `path` if it is one of `owners`.
///
/// # Errors
/// It cannot be opened or looked at.
pub(crate) fn open(path: &Path, owners: Owners) -> Result<Opened> {
    const NO_FILE: Opened = Opened::Foreign("it is not a regular file");
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Opened::Absent),
        // A link; a socket.
        Err(error)
            if [Errno::LOOP, Errno::NXIO]
                .map(Errno::raw_os_error)
                .map(Some)
                .contains(&error.raw_os_error()) =>
        {
            return Ok(NO_FILE);
        }
        file => file.map_err(Error::from)?,
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(NO_FILE);
    }
    match owners.have(&found) {
        true => Ok(Opened::File(file)),
        false => Ok(Opened::Foreign("it belongs to another user")),
    }
}
