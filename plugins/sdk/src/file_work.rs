//! Work on files: off the threads that run the builds, stopped when nobody waits for it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ingot_base::files::open_regular;
pub use ingot_base::files::{is_same_file, read_small, read_small_text, with_suffix};
pub use ingot_base::read_once::gives_once;
use tokio_util::sync::CancellationToken;

use crate::{Context, Error, Progress, Result, RunContext};

/// How much is read at a time; also how often cancellation is noticed.
pub const CHUNK: usize = 256 * 1024;

/// Runs `job` on a thread that may block. The token it is handed fires when the build is
/// cancelled and when the returned future is dropped. A build that is cancelled waits a moment for the
/// end of the job, so that it can remove what it has not finished.
///
/// # Errors
/// Those of the job.
pub async fn blocking<T: Send + 'static>(
    ctx: &RunContext,
    job: impl FnOnce(&CancellationToken) -> Result<T> + Send + 'static,
) -> Result<T> {
    let stop = ctx.cancel.child_token();
    let _guard = stop.clone().drop_guard();
    let running = ctx.processes.file_work();
    let job = move || {
        let _running = running;
        job(&stop)
    };
    tokio::task::spawn_blocking(job).await.context("working on files")?
}

/// Less than this is done before anybody could watch a progress bar.
const WORTH_WATCHING: u64 = 16 * 1024 * 1024;

/// Reads files of known total size, moving a progress bar.
pub struct Reader {
    progress: Option<Progress>,
    done: u64,
    total: u64,
    /// The position that was shown last.
    shown: u64,
}

impl Reader {
    /// Announces the reading of `files` as `label`, if it is going to take a while.
    pub fn new(ctx: &RunContext, label: &str, files: &[PathBuf]) -> Self {
        let sizes = files.iter().filter_map(|file| std::fs::metadata(file).ok());
        let total = sizes.map(|found| found.len()).sum();
        let progress = (total >= WORTH_WATCHING).then(|| ctx.ui.progress(label, Some(total)));
        Reader { progress, done: 0, total, shown: 0 }
    }

    /// How much has been read of all files.
    pub fn bytes_read(&self) -> u64 {
        self.done
    }

    /// Opens `path`, which must be a regular file or a disk, or lead to one.
    ///
    /// # Errors
    /// It cannot be opened, or is something else, such as a pipe that would be waited for.
    pub fn open(path: &Path) -> Result<File> {
        open_regular(path)
    }

    /// Feeds the contents of `file` to `sink`.
    ///
    /// # Errors
    /// Reading or the sink failed, or `stop` fired.
    pub fn copy(
        &mut self,
        stop: &CancellationToken,
        file: &mut File,
        mut sink: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let length = match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            sink(&buffer[..length])?;
            self.advance(length);
        }
    }

    /// Counts what was read, and shows it now and then.
    fn advance(&mut self, length: usize) {
        self.done += length as u64;
        if self.done - self.shown >= 4 * CHUNK as u64 || self.done == self.total {
            self.shown = self.done;
            if let Some(progress) = &self.progress {
                progress.at(self.done, Some(self.total));
            }
        }
    }

    /// A view of `file` that moves the progress bar and ends with an error when `stop` fires,
    /// for libraries that read by themselves.
    pub fn watch<'a>(&'a mut self, stop: &'a CancellationToken, file: File) -> Watched<'a> {
        Watched { reader: self, stop, file }
    }
}

/// See [`Reader::watch`].
pub struct Watched<'a> {
    reader: &'a mut Reader,
    stop: &'a CancellationToken,
    file: File,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let length = self.file.read(buffer)?;
        self.reader.advance(length);
        Ok(length)
    }
}
