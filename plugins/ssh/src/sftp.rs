//! SFTP: single requests, the copying of a file's contents, and directories.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ingot_sdk::{Context, Error, Result};
use rustix::event::PollFlags;
use rustix::io::Errno;
use ssh2::{ErrorCode, File, FileStat, FileType, OpenFlags, OpenType, Sftp};
use tokio::sync::oneshot;

use crate::channel_pump::{Progress, again, would_block};
use crate::link::Link;
use crate::worker::ends_session;
use ingot_sdk::walk::{Entry, What};

/// How many bytes are under way at once. libssh2 sends as many requests as the buffer it is
/// handed has room for, without waiting for answers.
const IN_FLIGHT: usize = 2 * 1024 * 1024;

/// The least that is asked for of a file, even if the server says that it is smaller.
const SMALL: usize = 4096;

/// What the server answers when there is no such file.
const NO_SUCH_FILE: i32 = 2;

/// A file whose contents are being copied between the machine and a local socket or file.
pub(crate) struct Copy {
    file: File,
    local: OwnedFd,
    upload: bool,
    /// As long as what libssh2 may have under way for it.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The source has ended.
    read_all: bool,
    outcome: std::result::Result<(), String>,
    done: Option<oneshot::Sender<std::result::Result<(), String>>>,
}

impl Copy {
    fn new(
        file: File,
        local: OwnedFd,
        upload: bool,
        in_flight: usize,
        done: oneshot::Sender<std::result::Result<(), String>>,
    ) -> Self {
        let buffer = vec![0; in_flight];
        let done = Some(done);
        Copy {
            file,
            local,
            upload,
            buffer,
            start: 0,
            end: 0,
            read_all: false,
            outcome: Ok(()),
            done,
        }
    }

    /// Moves what can be moved. `sending` says that some packet is stuck half-way into the
    /// server's socket. It may be this file's, so that nothing else gets through before.
    pub(crate) fn step(&mut self, sending: bool) -> Progress {
        let abandoned = self.done.as_ref().is_some_and(oneshot::Sender::is_closed);
        if abandoned && !sending && !self.closing() {
            self.outcome = Err("nobody waits for it any more".into());
        }
        if !self.closing() {
            let moved = if self.upload { self.step_up() } else { self.step_down() };
            match moved {
                Ok(true) => return Progress::Moved,
                Ok(false) if !self.closing() => return Progress::Waiting,
                Ok(false) => {}
                Err(error) => self.outcome = Err(error.to_string()),
            }
        }
        match again(self.file.close()) {
            Ok(true) => return Progress::Waiting,
            Ok(false) => {}
            Err(error) if self.outcome.is_ok() => self.outcome = Err(error.to_string()),
            Err(_) => {}
        }
        Progress::Done
    }

    /// Says how it went.
    pub(crate) fn finish(mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Ok(()));
        self.done.take().map(|done| done.send(outcome));
    }

    /// Whether nothing is left to do but to close the file.
    fn closing(&self) -> bool {
        self.outcome.is_err() || (self.read_all && self.start == self.end)
    }

    fn step_up(&mut self) -> std::io::Result<bool> {
        let mut moved = false;
        if !self.read_all && self.end < self.buffer.len() {
            match rustix::io::read(&self.local, &mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.read_all = true;
                    moved = true;
                }
                Ok(count) => {
                    self.end += count;
                    moved = true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.start < self.end
            && let Some(count) = would_block(self.file.write(&self.buffer[self.start..self.end]))?
        {
            self.start += count;
            moved |= count > 0;
            // Room for more behind what is under way, which libssh2 wants to see again.
            if self.start > self.buffer.len() / 2 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
        }
        Ok(moved)
    }

    fn step_down(&mut self) -> std::io::Result<bool> {
        let mut moved = false;
        if self.start == self.end && !self.read_all {
            // Smaller than what is read ahead, which is a multiple of it.
            let quarter = self.buffer.len() / 4;
            let piece = &mut self.buffer[..quarter];
            match would_block(self.file.read(piece))? {
                Some(0) => {
                    self.read_all = true;
                    moved = true;
                }
                Some(count) => {
                    (self.start, self.end) = (0, count);
                    moved = true;
                }
                None => {}
            }
        }
        if self.start < self.end {
            match rustix::io::write(&self.local, &self.buffer[self.start..self.end]) {
                Ok(count) => {
                    self.start += count;
                    moved = true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(moved)
    }

    /// The local end to watch, and for what.
    pub(crate) fn interest(&self) -> Option<(&OwnedFd, PollFlags)> {
        let wants = if self.closing() {
            return None;
        } else if self.upload {
            !self.read_all && self.end < self.buffer.len()
        } else {
            self.start < self.end
        };
        let flags = if self.upload { PollFlags::IN } else { PollFlags::OUT };
        wants.then_some((&self.local, flags))
    }
}

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
            let what = match stat.file_type() {
                FileType::Directory => What::Directory,
                FileType::RegularFile => What::File,
                _ => continue,
            };
            let mode = stat.perm.unwrap_or(0o644) & 0o7777;
            entries.push((Entry { path: name, what, mode }, stat.size));
        }
        Ok(entries)
    });
    let doing = || format!("reading the directory {path} of the machine");
    listed.await?.map_err(|error| Error::new(explain(&error))).with_context(doing)
}
