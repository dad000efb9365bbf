//! Locks between processes, and between the builds of one: `flock(2)` on a file made for it.
//! Packer uses the same call on the same files.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use crate::{Context, Error, ErrorKind, Result};

/// How often a lock that another holds is tried again. A call that waits could not be cancelled.
const POLL: Duration = Duration::from_millis(200);
/// The same for [`wait_for`], which is for locks that are held for a moment.
const SHORT_POLL: Duration = Duration::from_millis(50);

/// Takes the lock on an open file, which holds it until it is closed; false when another has it.
///
/// # Errors
/// The filesystem has no locks.
pub fn try_lock(file: &File) -> std::io::Result<bool> {
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives up the lock on an open file, also for processes that have it from this one.
///
/// # Errors
/// The filesystem has no locks.
pub fn unlock(file: &File) -> std::io::Result<()> {
    Ok(flock(file, FlockOperation::Unlock)?)
}

/// Takes the lock on an open file as [`try_lock`] does, and blocks for at most `limit` while
/// another has it; false when that does not give it up.
///
/// # Errors
/// The filesystem has no locks.
pub fn wait_for(file: &File, limit: Duration) -> std::io::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        let taken = try_lock(file)?;
        if taken || Instant::now() >= deadline {
            return Ok(taken);
        }
        std::thread::sleep(SHORT_POLL);
    }
}

/// Whether an open file is still what `path` leads to: another process may have removed or replaced it.
pub fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// How often a file is looked for that was just removed by who held the lock.
const LOOKS: u32 = 10;

/// A lock that is held until this is dropped or the process ends, however it does.
#[derive(Debug)]
pub struct FileLock {
    path: PathBuf,
    remove: bool,
    _file: File,
}

impl FileLock {
    /// Takes the lock on `path`, whose directory must exist; none when another holds it.
    ///
    /// # Errors
    /// The file cannot be created, or the filesystem has no locks.
    pub fn try_take(path: &Path) -> Result<Option<FileLock>> {
        let locking = || format!("locking {}", path.display());
        for _ in 0..LOOKS {
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .with_context(locking)?;
            if !try_lock(&file).with_context(locking)? {
                return Ok(None);
            }
            // Whoever held it before may have removed the file while this one was opened; then
            // the lock is on a file that nobody else will find.
            if is_at(&file, path) {
                return Ok(Some(FileLock { path: path.to_owned(), remove: false, _file: file }));
            }
        }
        // Another process always comes first, or the filesystem describes one file in two ways.
        Ok(None)
    }

    /// Removes the file when the lock is given up. Only for locks that nobody waits for with the
    /// file open: Packer does not notice that it is gone.
    pub fn remove_on_drop(mut self) -> Self {
        self.remove = true;
        self
    }

    /// Takes the lock on `path`, waiting for it as long as it takes. `on_wait` is called once before.
    /// For locks under which as much may be done as a download; [`FileLock::take_within`] is for
    /// the others.
    ///
    /// # Errors
    /// See [`FileLock::try_take`]; or `cancel` fired.
    pub async fn take(
        cancel: &CancellationToken,
        path: &Path,
        on_wait: impl FnOnce(),
    ) -> Result<FileLock> {
        let mut on_wait = Some(on_wait);
        loop {
            if let Some(lock) = FileLock::try_take(path)? {
                return Ok(lock);
            }
            if let Some(on_wait) = on_wait.take() {
                on_wait();
            }
            tokio::select! {
                () = cancel.cancelled() => return Err(Error::Cancelled),
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Takes the lock on `path`, waiting for it for at most `limit`: who holds it may be stopped, or
    /// be on another machine that is gone. `on_wait` is called once before.
    ///
    /// # Errors
    /// See [`FileLock::take`]; or another process did not give it up, which is
    /// [`ErrorKind::Busy`].
    pub async fn take_within(
        limit: Duration,
        cancel: &CancellationToken,
        path: &Path,
        on_wait: impl FnOnce(),
    ) -> Result<FileLock> {
        match tokio::time::timeout(limit, FileLock::take(cancel, path, on_wait)).await {
            Ok(taken) => taken,
            Err(_) => Err(Error::new(format!(
                "another process has held {} for {} seconds",
                path.display(),
                limit.as_secs_f64().round()
            ))
            .of_kind(ErrorKind::Busy)),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Safe, because the lock is still held and whoever takes it next looks whether the file
        // is still there.
        if self.remove {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_file_is_locked_once_its_lock_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let open = || File::open(directory.path()).unwrap();
        let (one, other) = (open(), open());
        assert!(wait_for(&other, Duration::ZERO).unwrap());
        unlock(&other).unwrap();
        assert!(wait_for(&one, Duration::ZERO).unwrap());
        assert!(!wait_for(&other, Duration::ZERO).unwrap());
        let waiting = std::thread::spawn(move || wait_for(&other, Duration::from_secs(60)));
        drop(one);
        assert!(waiting.join().unwrap().unwrap());
    }

    #[tokio::test]
    async fn waiting_for_a_lock_has_a_limit() {
        let directory = tempfile::tempdir().unwrap();
        let (path, never) = (directory.path().join("lock"), CancellationToken::new());
        let held = FileLock::try_take(&path).unwrap().unwrap();
        let mut waited = 0;
        let limit = Duration::from_millis(300);
        let taken = FileLock::take_within(limit, &never, &path, || waited += 1).await;
        let error = taken.unwrap_err();
        assert_eq!((error.kind(), waited), (Some(ErrorKind::Busy), 1), "{error}");
        assert!(error.to_string().contains("another process has held"), "{error}");
        drop(held);
        FileLock::take_within(limit, &never, &path, || ()).await.unwrap();
    }
}
