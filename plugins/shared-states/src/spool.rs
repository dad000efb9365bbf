//! Temporary files without a name: nothing is left of them, however the program ends.

use std::fs::File;
use std::io::{Read, Write};

use ingot_sdk::file_work::CHUNK;
use ingot_sdk::hash::Sha256;
use ingot_sdk::{Error, Result};
use tokio_util::sync::CancellationToken;

/// A file without a name.
///
/// # Errors
/// It cannot be created.
pub fn spool() -> Result<File> {
    tempfile::tempfile().map_err(spool_error)
}

/// An error of the file without a name.
pub fn spool_error(error: std::io::Error) -> Error {
    let directory = std::env::temp_dir();
    Error::from(error)
        .context(format_args!("writing a temporary file in {}", directory.display()))
        .hint("TMPDIR names another directory")
}

/// Copies all of `source` to the file without a name; how many bytes that was, and their SHA-256 in
/// hexadecimal.
///
/// # Errors
/// Reading or writing failed.
pub fn copy(mut source: impl Read, spool: &mut File) -> Result<(u64, String)> {
    let (mut sum, mut size, mut buffer) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let count = match source.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        if count == 0 {
            return Ok((size, sum.finish()));
        }
        sum.update(&buffer[..count]);
        spool.write_all(&buffer[..count]).map_err(spool_error)?;
        size += count as u64;
    }
}

/// Reads or writes until the build is cancelled.
#[derive(Debug)]
pub struct Cancellable<T> {
    /// What is read or written.
    pub inner: T,
    /// Fires when that is to stop.
    pub stop: CancellationToken,
}

impl<T> Cancellable<T> {
    fn check(&self) -> std::io::Result<()> {
        match self.stop.is_cancelled() {
            true => Err(std::io::Error::other("cancelled")),
            false => Ok(()),
        }
    }
}

impl<R: Read> Read for Cancellable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.check()?;
        self.inner.read(buffer)
    }
}

impl<W: Write> Write for Cancellable<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
