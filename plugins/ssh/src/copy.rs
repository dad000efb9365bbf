//! Copying as many bytes as were announced.

use ingot_sdk::{Error, Result};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

/// How much is copied at once.
pub(crate) const COPY_BUFFER: usize = 256 * 1024;

/// Why copying stopped.
pub(crate) enum Stopped {
    /// The source is at fault.
    Source(Error),
    /// The other side takes no more.
    Destination(std::io::Error),
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Source(error) => error,
            Stopped::Destination(error) => error.into(),
        }
    }
}

/// Copies `size` bytes; `name` is the source's.
///
/// # Errors
/// The source has fewer or more, or one side broke.
pub(crate) async fn copy_exactly(
    source: &mut (dyn AsyncRead + Send + Unpin),
    destination: &mut (dyn AsyncWrite + Send + Unpin),
    size: u64,
    name: &str,
) -> Result<(), Stopped> {
    let reading = |error: std::io::Error| Stopped::Source(error.into());
    let mut source = BufReader::with_capacity(COPY_BUFFER, source);
    let mut left = size;
    loop {
        let bytes = source.fill_buf().await.map_err(reading)?;
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if bytes.is_empty() != (left == 0) {
            return Err(Stopped::Source(Error::new(format!(
                "{name} changed while it was being read: it is not {size} bytes long"
            ))));
        }
        if count == 0 {
            return Ok(());
        }
        destination.write_all(&bytes[..count]).await.map_err(Stopped::Destination)?;
        source.consume(count);
        left -= count as u64;
    }
}
