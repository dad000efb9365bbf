//! Downloads to a file, which a later one can go on with where they broke off.

use std::io::SeekFrom;
use std::path::Path;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::{CONTENT_RANGE, HeaderMap};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};
use tokio_util::sync::CancellationToken;

use crate::http::unless_stalled;
use crate::{Error, Result};

/// How much arrives between two reports of the progress.
const STEP: u64 = 1 << 20;
/// How much is written to the file at a time.
const BUFFER: usize = 256 * 1024;

/// The file that a download is written to, and what bounds the download.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The file. It is created if it is not there.
    pub path: &'a Path,
    /// How many bytes of it stay: those before the first one of the response.
    pub from: u64,
    /// How many bytes it has when it is whole, if the server says so.
    pub length: Option<u64>,
    /// The most bytes that it may have.
    pub most: u64,
    /// How long the server may send nothing.
    pub stall: Duration,
}

/// Why a download ended early.
#[derive(Debug)]
pub enum Broken {
    /// The server or the network (transient), or it was cancelled. What has arrived is good.
    Sending(Error),
    /// The file cannot be written.
    Writing(Error),
    /// There is more than the file may have.
    TooLong,
}

impl Part<'_> {
    /// Writes the body of `response` to the file, until it ends or `cancel` fires. `progress` is told
    /// of the bytes that the file has, at the beginning, now and then, and at the end.
    ///
    /// # Errors
    /// Not all has arrived. What has is in the file, but for errors of writing.
    pub async fn receive(
        &self,
        mut response: Response,
        cancel: &CancellationToken,
        mut progress: impl FnMut(u64),
    ) -> Result<(), Broken> {
        if self.length.is_some_and(|length| length > self.most) {
            return Err(Broken::TooLong);
        }
        let writing = |error: std::io::Error| {
            let doing = format!("writing {}", self.path.display());
            Broken::Writing(Error::from(error).context(doing))
        };
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let file = options.open(self.path).await.map_err(writing)?;
        file.set_len(self.from).await.map_err(writing)?;
        let mut file = BufWriter::with_capacity(BUFFER, file);
        // Not appending: a write that is under way when the download is cancelled must end up where
        // it belongs.
        file.seek(SeekFrom::Start(self.from)).await.map_err(writing)?;
        let (mut position, mut shown) = (self.from, self.from);
        progress(position);
        let ended = loop {
            let chunk = tokio::select! {
                biased;
                () = cancel.cancelled() => break Err(Broken::Sending(Error::Cancelled)),
                chunk = unless_stalled(self.stall, response.chunk()) => chunk,
            };
            match chunk {
                Err(error) => break Err(Broken::Sending(error.context("the download broke off"))),
                Ok(None) => break Ok(()),
                Ok(Some(bytes)) if position + bytes.len() as u64 > self.most => {
                    break Err(Broken::TooLong);
                }
                Ok(Some(bytes)) => {
                    file.write_all(&bytes).await.map_err(writing)?;
                    position += bytes.len() as u64;
                    if position - shown >= STEP {
                        shown = position;
                        progress(position);
                    }
                }
            }
        };
        file.flush().await.map_err(writing)?;
        file.get_ref().sync_all().await.map_err(writing)?;
        progress(position);
        ended?;
        match self.length {
            Some(length) if length != position => Err(Broken::Sending(
                Error::new(format!("the download ended at {position} of {length} bytes"))
                    .transient(),
            )),
            _ => Ok(()),
        }
    }
}

/// The first byte of a part of a file, and the length of the whole file: `bytes 5-9/10`.
pub fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, length) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.parse().ok()?, length.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::response;

    const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    fn part(path: &Path) -> Part<'_> {
        Part { path, from: 0, length: Some(5), most: 5, stall: Duration::from_secs(60) }
    }

    #[tokio::test]
    async fn a_download_goes_on_where_it_broke_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("part");
        let never = CancellationToken::new();
        let (cut, whole) = ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", part(&path));
        let error = whole.receive(response(cut).await, &never, |_| ()).await.unwrap_err();
        assert!(matches!(&error, Broken::Sending(error) if error.is_transient()), "{error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"he");
        // What is after the bytes that stay is not of this file.
        std::fs::write(&path, "hexxxxxx").unwrap();
        let rest = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/5\r\n\
            Content-Length: 3\r\n\r\nllo";
        let rest = response(rest).await;
        assert_eq!(content_range(rest.headers()), Some((2, Some(5))));
        let mut seen = Vec::new();
        let on = Part { from: 2, ..whole };
        on.receive(rest, &never, |position| seen.push(position)).await.unwrap();
        assert_eq!((std::fs::read(&path).unwrap().as_slice(), seen), (&b"hello"[..], vec![2, 5]));
    }

    #[tokio::test]
    async fn a_download_has_bounds() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("part");
        let never = CancellationToken::new();
        let whole = part(&path);
        // Whether the server says how much there is, or not.
        let unsaid = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello";
        for (text, length) in [(WHOLE, Some(5)), (unsaid, None)] {
            let small = Part { most: 4, length, ..whole };
            let error = small.receive(response(text).await, &never, |_| ()).await.unwrap_err();
            assert!(matches!(error, Broken::TooLong), "{error:?}");
        }
        let short = Part { length: Some(6), most: 6, ..whole };
        let error = short.receive(response(WHOLE).await, &never, |_| ()).await.unwrap_err();
        assert!(format!("{error:?}").contains("ended at 5 of 6 bytes"), "{error:?}");
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        let error = whole.receive(response(WHOLE).await, &cancelled, |_| ()).await.unwrap_err();
        assert!(matches!(error, Broken::Sending(Error::Cancelled)), "{error:?}");
    }
}
