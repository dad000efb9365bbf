//! Keeps other processes from changing a file at the same time.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::output_file::UNFINISHED_FILE;
use ingot_sdk::{Context, Error, Journal, JournalEntry, Resource, Result};
use tokio_util::sync::CancellationToken;

/// How long another process may plausibly hold the lock file: the work under it takes
/// milliseconds. An older lock was left by a process that was killed.
const LOCK_IS_STALE_AFTER: Duration = Duration::from_secs(10);

/// The file `OUTPUT.lock`, which is there while a process changes the output. Packer uses the same for
/// manifests, so the two can share one.
pub(crate) struct LockFile {
    path: PathBuf,
    entry: Option<JournalEntry>,
}

impl LockFile {
    /// Waits until no other process has the lock of `output`, and takes it.
    ///
    /// # Errors
    /// It cannot be created, or `stop` fired.
    pub(crate) fn take(
        journal: &Arc<dyn Journal>,
        stop: &CancellationToken,
        output: &Path,
    ) -> Result<Self> {
        let mut path = std::path::absolute(output)
            .with_context(|| format!("finding out where {} is", output.display()))?
            .into_os_string();
        path.push(".lock");
        let path = PathBuf::from(path);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("creating the directory {}", directory.display()))?;
        }
        loop {
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            // Recorded before it exists; resolved if somebody else has the lock.
            let resource = Resource::new(UNFINISHED_FILE, path.to_string_lossy());
            let entry = JournalEntry::open(journal, &resource)?;
            match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => return Ok(LockFile { path, entry: Some(entry) }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => entry.done(),
                Err(error) => {
                    entry.done();
                    return Err(error).with_context(|| format!("creating {}", path.display()));
                }
            }
            let age = std::fs::metadata(&path)
                .and_then(|found| found.modified())
                .map(|since| since.elapsed().unwrap_or_default());
            if age.is_ok_and(|age| age > LOCK_IS_STALE_AFTER) {
                tracing::warn!(lock = %path.display(), "removing a lock that was left behind");
                // If it cannot be removed, creating it will say why.
                if let Err(error) = std::fs::remove_file(&path)
                    && error.kind() != ErrorKind::NotFound
                {
                    return Err(error).with_context(|| format!("removing {}", path.display()));
                }
                continue;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(lock = %self.path.display(), %error, "cannot remove");
            }
            _ => {
                if let Some(entry) = self.entry.take() {
                    entry.done();
                }
            }
        }
    }
}
