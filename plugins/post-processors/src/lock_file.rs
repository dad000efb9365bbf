//! Keeps other processes from changing a file at the same time.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ingot_sdk::file_lock::{is_at, try_lock};
use ingot_sdk::file_work::with_suffix;
use ingot_sdk::output_file::UNFINISHED_FILE;
use ingot_sdk::{Context, Error, Journal, JournalEntry, Resource, Result};
use tokio_util::sync::CancellationToken;

/// How long another process may plausibly hold the lock: the work under it takes milliseconds. An
/// older lock file was left by a process that was killed.
const LOCK_IS_STALE_AFTER: Duration = Duration::from_secs(10);
/// How often a lock that another process holds is tried again.
const POLL: Duration = Duration::from_millis(20);

/// What is held while a process changes its output.
pub(crate) enum OutputLock {
    /// The file `OUTPUT.lock`, which is there meanwhile. Packer uses the same for manifests, so the two
    /// can share one.
    File { path: PathBuf, entry: Option<JournalEntry> },
    /// The file system's lock on the output itself, where no file can be created beside it.
    Output { _locked: File },
    /// Nothing: the output is a pipe or device, or cannot be locked.
    Nothing,
}

impl OutputLock {
    /// Waits until no other process has the lock of `output`, and takes it.
    ///
    /// # Errors
    /// It cannot be created, or `stop` fired.
    pub(crate) fn take(
        journal: &Arc<dyn Journal>,
        stop: &CancellationToken,
        output: &Path,
    ) -> Result<Self> {
        // What is written there is not read again, and beside a device there is no place for a file.
        if std::fs::metadata(output).is_ok_and(|found| !found.is_file()) {
            return Ok(OutputLock::Nothing);
        }
        let path = std::path::absolute(output)
            .with_context(|| format!("finding out where {} is", output.display()))?;
        let path = with_suffix(&path, ".lock");
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("creating the directory {}", directory.display()))?;
        }
        loop {
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            // Recorded before it exists; resolved if somebody else has the lock.
            let resource = Resource::at(UNFINISHED_FILE, &path);
            let entry = JournalEntry::open(journal, &resource)?;
            match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => return Ok(OutputLock::File { path, entry: Some(entry) }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => entry.done(),
                // The output may be written all the same.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                    ) =>
                {
                    entry.done();
                    tracing::warn!(lock = %path.display(), %error, "cannot create");
                    return OutputLock::on(output, stop);
                }
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
            std::thread::sleep(POLL);
        }
    }

    /// Takes the file system's lock on `output`, if it is there.
    fn on(output: &Path, stop: &CancellationToken) -> Result<Self> {
        let deadline = Instant::now() + LOCK_IS_STALE_AFTER;
        loop {
            // Writing it says what is wrong with it.
            let Ok(file) = File::open(output) else { return Ok(OutputLock::Nothing) };
            match try_lock(&file) {
                Ok(true) if is_at(&file, output) => {
                    return Ok(OutputLock::Output { _locked: file });
                }
                // Another process has it, or it was replaced, as where it is a link to elsewhere.
                Ok(_) if Instant::now() < deadline => {}
                refused => {
                    tracing::warn!(output = %output.display(), ?refused, "cannot lock");
                    return Ok(OutputLock::Nothing);
                }
            }
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for OutputLock {
    fn drop(&mut self) {
        let OutputLock::File { path, entry } = self else { return };
        match std::fs::remove_file(&*path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(lock = %path.display(), %error, "cannot remove");
            }
            _ => {
                if let Some(entry) = entry.take() {
                    entry.done();
                }
            }
        }
    }
}
