//! Progress of what is read or written as a stream.

use std::io;
use std::pin::Pin;
use std::task::{self, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Progress, Ui};

/// Less than this is through before anybody could watch it.
const WORTH_WATCHING: u64 = 1024 * 1024;

/// A reader or writer that shows its progress.
pub struct Shown<T> {
    inner: T,
    position: u64,
    progress: Option<(Progress, Option<u64>)>,
}

impl<T> Shown<T> {
    /// Shows `inner` under `label`, if it is going to take a while. `size` is in bytes; without it
    /// there is a count and no bar.
    pub fn new(inner: T, ui: &Ui, label: &str, size: Option<u64>) -> Self {
        let shown = size.is_none_or(|size| size >= WORTH_WATCHING);
        let progress = shown.then(|| (ui.progress(label, size), size));
        Shown { inner, position: 0, progress }
    }

    fn moved(&mut self, count: usize) {
        self.position += count as u64;
        if let Some((progress, total)) = &self.progress {
            progress.at(self.position, *total);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Shown<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let count = buffer.filled().len() - before;
        if count > 0 {
            self.moved(count);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Shown<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.moved(count);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
