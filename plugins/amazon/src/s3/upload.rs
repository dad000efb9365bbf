//! Uploads of files.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use ingot_sdk::file_work::Reader;
use ingot_sdk::retry::Stopped as _;
use ingot_sdk::{Progress, Ui};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::client::{S3, token_header};
use crate::failure::{Failure, Kind};

/// How large a part is at least, in bytes. What is not larger is sent at once. S3's own limit is 5 MiB.
const PART: u64 = 16 << 20;
/// The most parts that S3 takes.
const PARTS: u64 = 10_000;
/// What the size of a part is a multiple of.
const STEP: u64 = 1 << 20;
/// The most parts that are under way at a time.
const PARALLEL: u64 = 4;
/// How much memory parts that are under way may take, in bytes, unless one alone is larger.
const MEMORY: u64 = 64 << 20;

/// The pauses between the times that an upload is given up.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// A file that is to become an object.
pub(crate) struct Upload {
    pub s3: Arc<S3>,
    pub key: String,
    /// What tells the object from others of its key.
    pub token: String,
    pub path: PathBuf,
    /// How S3 encrypts the object.
    pub encryption: Vec<(&'static str, String)>,
    pub ui: Ui,
    pub stop: CancellationToken,
    /// When it begins, by this machine's clock.
    pub since: OffsetDateTime,
    /// Uploads to the same key that are another's.
    pub others: Others,
    /// Gets the id of a multipart upload.
    pub id: oneshot::Sender<String>,
    /// Is set where the upload failed and nothing is left of it.
    pub clean: Arc<AtomicBool>,
}

/// The uploads to a key that were there before, by their ids. None where the credentials may not see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Others(pub Option<BTreeSet<String>>);

impl Others {
    /// Those of `key` at `now`.
    pub(crate) async fn of(s3: &S3, key: &str, now: OffsetDateTime) -> Others {
        let found = s3.uploads(key, now).await;
        let found = found.inspect_err(|failure| tracing::debug!(%failure, "no list of uploads"));
        Others(found.ok().map(|found| found.into_iter().collect()))
    }

    /// Gives up uploads to `key` that have begun at `since` but are neither these nor `own`.
    ///
    /// # Errors
    /// One may be left.
    pub(crate) async fn give_up_rest(
        &self,
        s3: &S3,
        key: &str,
        since: OffsetDateTime,
        own: Option<&str>,
    ) -> Result<(), Failure> {
        let mut found = s3.uploads(key, since).await?;
        let Others(others) = self;
        found.retain(|upload| {
            own != Some(upload) && !others.as_ref().is_some_and(|others| others.contains(upload))
        });
        if others.is_none() && !found.is_empty() {
            let all = found.join(", ");
            let hint = "abort those that are nobody's with `aws s3api abort-multipart-upload`";
            let failure = refused(format!("of the uploads {all}, some may be another's"));
            return Err(Failure { hint: Some(hint.to_owned()), ..failure });
        }
        for upload in found {
            give_up(s3, key, &upload).await?;
        }
        Ok(())
    }
}

/// What became of an upload in parts that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// Whether there was one.
    pub existed: bool,
    /// Whether S3 says that nothing is left of it.
    pub gone: bool,
}

/// Gives up an upload in parts, until S3 says that there is none: a part that was on its way may have come
/// after the first time.
///
/// # Errors
/// S3 refuses, or cannot be reached.
pub(crate) async fn give_up(s3: &S3, key: &str, upload: &str) -> Result<GivenUp, Failure> {
    let existed = s3.abort(key, upload).await?;
    let mut gone = !existed;
    for pause in PAUSES {
        if gone {
            break;
        }
        tokio::time::sleep(pause).await;
        gone = !s3.abort(key, upload).await?;
    }
    Ok(GivenUp { existed, gone })
}

/// An object that was written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uploaded {
    /// Its version, in a bucket that keeps versions.
    pub version: Option<String>,
}

/// What tells that a file was not written to meanwhile.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(found: &Metadata) -> Stamp {
        Stamp { length: found.len(), modified: found.modified().ok() }
    }
}

/// An upload that is under way.
struct Running {
    s3: Arc<S3>,
    key: String,
    token: String,
    shown: String,
    headers: Vec<(&'static str, String)>,
    stop: CancellationToken,
    since: OffsetDateTime,
    others: Others,
    ui: Ui,
    file: Arc<File>,
    stamp: Stamp,
    /// Whether S3 may have done what it did not answer.
    lost: AtomicBool,
}

/// Whether a file of so many bytes is sent in parts.
pub(crate) fn comes_in_parts(length: u64) -> bool {
    length > PART
}

impl Upload {
    /// Uploads the file.
    ///
    /// # Errors
    /// It cannot be read, it was changed meanwhile, or what S3 answered.
    pub(crate) async fn run(self) -> Result<Uploaded, Failure> {
        let shown = self.path.display().to_string();
        let path = self.path;
        let opened = blocking(move || {
            let file = Reader::open(&path).map_err(|error| refused(error.to_string()))?;
            let found = file.metadata().map_err(|error| refused(error.to_string()))?;
            Ok((file, Stamp::of(&found)))
        });
        let opened = opened.await;
        let (file, stamp) = opened.inspect_err(|_| self.clean.store(true, Ordering::Release))?;
        let length = stamp.length;
        let mut headers = self.encryption;
        headers.push(token_header(&self.token));
        let running = Running {
            s3: self.s3,
            key: self.key,
            token: self.token,
            shown,
            headers,
            stop: self.stop,
            since: self.since,
            others: self.others,
            ui: self.ui,
            file: Arc::new(file),
            stamp,
            lost: AtomicBool::new(false),
        };
        let in_parts = comes_in_parts(length);
        let progress = in_parts
            .then(|| running.ui.progress(format!("Uploading {}", running.shown), Some(length)));
        let (result, given_up) = match in_parts {
            true => running.in_parts(self.id, progress).await,
            false => (running.at_once().await, true),
        };
        let known = given_up && !running.lost.load(Ordering::Acquire);
        self.clean.store(result.is_err() && known, Ordering::Release);
        result
    }
}

impl Running {
    async fn at_once(&self) -> Result<Uploaded, Failure> {
        let body = self.read(0, self.stamp.length).await?;
        self.check().await?;
        // Not interrupted, so that it is known whether there is an object.
        let put = self.s3.again(|| async {
            self.go_on()?;
            let response = self.s3.put(&self.key, &self.headers, body.clone()).await;
            self.note(response)
        });
        Ok(Uploaded { version: put.await? })
    }

    /// How it went, and whether S3 has given up the parts of an upload that failed.
    async fn in_parts(
        &self,
        id: oneshot::Sender<String>,
        progress: Option<Progress>,
    ) -> (Result<Uploaded, Failure>, bool) {
        // Not interrupted, so that the upload's id is known.
        let created = self.s3.again(|| async {
            self.go_on()?;
            let response = self.s3.create_upload(&self.key, &self.headers).await;
            self.note(response)
        });
        let upload = match created.await {
            Ok(upload) => upload,
            Err(failure) => return (Err(failure), true),
        };
        // The lost responses may have been of other uploads.
        let strays = self.lost.swap(false, Ordering::AcqRel);
        // Whoever waited for it may be gone.
        let _ = id.send(upload.clone());
        let result = self.fill(&upload, progress.as_ref()).await;
        let given_up = match &result {
            Ok(_) => true,
            Err(_) => {
                let given_up = give_up(&self.s3, &self.key, &upload).await;
                given_up.is_ok_and(|given_up| given_up.gone)
            }
        };
        let alone = !strays || self.give_up_strays(&upload).await;
        (result, given_up && alone)
    }

    /// Aborts uploads that this one has begun without a response. One that stays is not an error.
    async fn give_up_strays(&self, own: &str) -> bool {
        let given_up = self.others.give_up_rest(&self.s3, &self.key, self.since, Some(own)).await;
        if let Err(failure) = &given_up {
            let place = format!("s3://{}/{}", self.s3.bucket(), self.key);
            self.ui.error(format!("An incomplete upload to {place} may be left: {failure}"));
        }
        given_up.is_ok()
    }

    async fn fill(&self, upload: &str, progress: Option<&Progress>) -> Result<Uploaded, Failure> {
        let total = self.stamp.length;
        let size = part_size(total);
        let sent = AtomicU64::new(0);
        let part = |number: u16| {
            let sent = &sent;
            async move {
                let offset = u64::from(number - 1) * size;
                let body = self.read(offset, size.min(total - offset)).await?;
                let length = body.len() as u64;
                let tag = self.s3.part(&self.key, upload, number, body).await?;
                let all = sent.fetch_add(length, Ordering::Relaxed) + length;
                if let Some(progress) = progress {
                    progress.at(all, Some(total));
                }
                Ok::<_, Failure>(tag)
            }
        };
        let count = u16::try_from(total.div_ceil(size));
        let count = count.map_err(|_| refused(format!("{} is too large for S3", self.shown)))?;
        let parts = stream::iter(1..=count).map(part).buffered(parallel(size));
        let tags: Vec<String> = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(Failure::stopped()),
            tags = parts.try_collect() => tags?,
        };
        self.check().await?;
        // Not interrupted either: whether there is an object is to be known.
        let completed = self.s3.again(|| async {
            self.go_on()?;
            let before = self.lost.load(Ordering::Acquire);
            match self.s3.complete(&self.key, upload, &tags).await {
                Err(failure) if before && failure.is("NoSuchUpload") => {
                    // The lost response may have been a success.
                    let found = self.s3.find(&self.key, &self.token).await?;
                    found.map(|found| found.version).ok_or(failure)
                }
                response => self.note(response),
            }
        });
        Ok(Uploaded { version: completed.await? })
    }

    /// Fails once the build is cancelled.
    fn go_on(&self) -> Result<(), Failure> {
        match self.stop.is_cancelled() {
            true => Err(Failure::stopped()),
            false => Ok(()),
        }
    }

    /// Remembers that S3 may have done what it did not answer.
    fn note<T>(&self, response: Result<T, Failure>) -> Result<T, Failure> {
        response.inspect_err(|failure| {
            if matches!(failure.kind, Kind::Unreachable | Kind::Broken) {
                self.lost.store(true, Ordering::Release);
            }
        })
    }

    async fn read(&self, offset: u64, length: u64) -> Result<Bytes, Failure> {
        let (file, changed) = (Arc::clone(&self.file), self.changed());
        let shown = self.shown.clone();
        let length = usize::try_from(length).map_err(|_| refused("a part is too large"))?;
        blocking(move || {
            let mut part = vec![0; length];
            match file.read_exact_at(&mut part, offset) {
                Ok(()) => Ok(Bytes::from(part)),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(changed),
                Err(error) => Err(refused(format!("reading {shown}: {error}"))),
            }
        })
        .await
    }

    /// Makes sure that what was read is one file, and not parts of several states of it.
    async fn check(&self) -> Result<(), Failure> {
        let (file, shown) = (Arc::clone(&self.file), self.shown.clone());
        let found = blocking(move || {
            let found = file.metadata();
            found.map_err(|error| refused(format!("looking at {shown}: {error}")))
        });
        match Stamp::of(&found.await?) == self.stamp {
            true => Ok(()),
            false => Err(self.changed()),
        }
    }

    fn changed(&self) -> Failure {
        let message = format!("{} was changed while it was being uploaded", self.shown);
        let hint = "wait until nothing writes to it, such as a machine that still runs";
        Failure { hint: Some(hint.to_owned()), ..refused(message) }
    }
}

fn refused(message: impl Into<String>) -> Failure {
    Failure::new(Kind::Refused, message)
}

async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(job).await;
    done.unwrap_or_else(|error| Err(refused(format!("working on files: {error}"))))
}

/// The size of the parts of a file of `length` bytes: there are only so many.
fn part_size(length: u64) -> u64 {
    PART.max(length.div_ceil(PARTS).next_multiple_of(STEP))
}

/// How many parts of this size are under way at a time.
fn parallel(size: u64) -> usize {
    usize::try_from((MEMORY / size).clamp(1, PARALLEL)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_so_that_their_number_suffices() {
        const GIB: u64 = 1 << 30;
        for (length, size) in [
            (PART + 1, PART),
            (PART * PARTS, PART),
            (PART * PARTS + 1, PART + STEP),
            (1024 * GIB, 105 * STEP),
            (50 * 1024 * GIB, 5243 * STEP),
        ] {
            assert_eq!(part_size(length), size, "{length}");
            assert!(length.div_ceil(size) <= PARTS);
        }
        // Of S3: a part has 5 GiB at most; of what EC2 imports, none comes near that.
        assert!(part_size(16 * 1024 * GIB) < 5 * GIB);
    }

    #[test]
    fn memory_is_bounded() {
        assert_eq!([PART, 2 * PART, 3 * PART, 200 << 20].map(parallel), [4, 2, 1, 1]);
    }

    #[test]
    fn a_file_that_grows_or_is_written_to_has_another_stamp() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        std::fs::write(&path, "0123").unwrap();
        let stamp = || Stamp::of(&std::fs::metadata(&path).unwrap());
        let before = stamp();
        assert_eq!(stamp(), before);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_ne!(stamp(), before);
        file.set_len(8).unwrap();
        assert_eq!(stamp().length, 8);
    }
}
