//! SFTP: single requests, files and directories.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ingot_sdk::{Context, Error, Result};
use ssh2::{ErrorCode, File, FileStat, FileType, OpenFlags, OpenType, Sftp};
use tokio::sync::oneshot;

use crate::link::Link;
use crate::sftp_copy::Copy;
use crate::worker::ends_session;
use ingot_sdk::walk::{Entry, EntryKind};

/// How many bytes are under way at once. libssh2 sends as many requests as the buffer it is
/// handed has room for, without waiting for answers.
const IN_FLIGHT: usize = 2 * 1024 * 1024;

/// The least that is asked for of a file, even if the server says that it is smaller.
const SMALL: usize = 4096;

/// What the server answers when there is no such file.
const NO_SUCH_FILE: i32 = 2;

/// An error of an SFTP request, told plainly.
fn explain(error: &ssh2::Error) -> String {
    match error.code() {
        ErrorCode::SFTP(_) => error.message().to_owned(),
        ErrorCode::Session(_) => format!("SFTP failed: {}", error.message()),
    }
}

/// Does SFTP requests that give a value.
async fn request<T: Send + 'static>(
    link: &Link,
    work: impl FnOnce(&Sftp) -> std::result::Result<T, ssh2::Error> + Send + 'static,
) -> Result<std::result::Result<T, ssh2::Error>> {
    let (answer, answered) = oneshot::channel();
    link.sftp(Box::new(move |sftp| {
        let result = match sftp {
            Ok(sftp) => Ok(work(sftp)),
            Err(error) => Err(error),
        };
        let _ = answer.send(result);
        None
    }))?;
    answered.await.map_err(|_| link.lost())?.map_err(|error| no_sftp(&error))
}

fn no_sftp(error: &ssh2::Error) -> Error {
    if ends_session(error) {
        let message = format!("the connection was lost: {}", error.message());
        return Error::new(message).transient();
    }
    Error::new(format!("the machine's SSH server has no SFTP: {}", error.message()))
        .hint("set ssh_file_transfer_method = \"scp\", or give sshd a `Subsystem sftp`")
}

/// Copies from the socket `local` to the remote file `path`.
pub(crate) async fn write_file(link: &Link, path: &str, mode: u32, local: OwnedFd) -> Result<()> {
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    copy(link, path, local, true, IN_FLIGHT, move |sftp, path| {
        let bits = i32::try_from(mode & 0o7777).unwrap_or(0o644);
        let mut file = sftp.open_mode(path, flags, bits, OpenType::File)?;
        file.setstat(only_mode(mode))?;
        Ok(file)
    })
    .await
}

/// Copies the remote file `path` into the socket `local`. `size` is what it probably has: libssh2
/// asks for all that its buffer has room for, also beyond the end, so that a small file in a big
/// buffer costs dozens of requests.
pub(crate) async fn read_file(
    link: &Link,
    path: &str,
    local: OwnedFd,
    size: Option<u64>,
) -> Result<()> {
    let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(IN_FLIGHT);
    // One more, to see the end.
    let in_flight = size.saturating_add(1).clamp(SMALL, IN_FLIGHT / 4) * 4;
    copy(link, path, local, false, in_flight, |sftp, path| sftp.open(path)).await
}

async fn copy(
    link: &Link,
    path: &str,
    local: OwnedFd,
    upload: bool,
    in_flight: usize,
    open: impl FnOnce(&Sftp, &Path) -> std::result::Result<File, ssh2::Error> + Send + 'static,
) -> Result<()> {
    let (done, ended) = oneshot::channel();
    let (failed, not_there) = oneshot::channel();
    let name = PathBuf::from(path);
    link.sftp(Box::new(move |sftp| {
        let opened = sftp
            .map_err(|error| no_sftp(&error))
            .and_then(|sftp| open(sftp, &name).map_err(|error| Error::new(explain(&error))));
        match opened {
            Ok(file) => Some(Copy::new(file, local, upload, in_flight, done)),
            Err(error) => {
                let _ = failed.send(error);
                None
            }
        }
    }))?;
    match ended.await {
        Ok(outcome) => outcome.map_err(Error::new),
        // It was never begun, or the session is lost.
        Err(_) => Err(not_there.await.unwrap_or_else(|_| link.lost())),
    }
}

fn only_mode(mode: u32) -> FileStat {
    let perm = Some(mode & 0o7777);
    FileStat { size: None, uid: None, gid: None, perm, atime: None, mtime: None }
}

/// Whether `path` is a directory; none where there is nothing.
pub(crate) async fn is_directory(link: &Link, path: &str) -> Result<Option<bool>> {
    let name = PathBuf::from(path);
    match request(link, move |sftp| sftp.stat(&name)).await? {
        Ok(stat) => Ok(Some(stat.is_dir())),
        Err(error) if error.code() == ErrorCode::SFTP(NO_SUCH_FILE) => Ok(None),
        Err(error) => Err(Error::new(explain(&error)).context(format_args!("looking at {path}"))),
    }
}

/// Makes the directory `path` unless it is there, and gives it `mode`.
pub(crate) async fn make_directory(link: &Link, path: &str, mode: u32) -> Result<()> {
    let name = PathBuf::from(path);
    let created = request(link, move |sftp| {
        let bits = i32::try_from(mode & 0o7777).unwrap_or(0o755);
        if let Err(error) = sftp.mkdir(&name, bits)
            && !sftp.stat(&name).is_ok_and(|stat| stat.is_dir())
        {
            return Err(error);
        }
        sftp.setstat(&name, only_mode(mode))
    });
    let doing = || format!("creating the directory {path} on the machine");
    created.await?.map_err(|error| Error::new(explain(&error))).with_context(doing)
}

/// What is in the remote directory `path`, following links, with the sizes that the server tells.
pub(crate) async fn list(link: &Link, path: &str) -> Result<Vec<(Entry, Option<u64>)>> {
    let directory = PathBuf::from(path);
    let listed = request(link, move |sftp| {
        let mut entries = Vec::new();
        for (name, stat) in sftp.readdir(&directory)? {
            let stat = match stat.file_type() {
                FileType::Symlink => sftp.stat(&name)?,
                _ => stat,
            };
            let kind = match stat.file_type() {
                FileType::Directory => EntryKind::Directory,
                FileType::RegularFile => EntryKind::File,
                _ => continue,
            };
            let mode = stat.perm.unwrap_or(0o644) & 0o7777;
            entries.push((Entry { path: name, kind, mode }, stat.size));
        }
        Ok(entries)
    });
    let doing = || format!("reading the directory {path} of the machine");
    listed.await?.map_err(|error| Error::new(explain(&error))).with_context(doing)
}
