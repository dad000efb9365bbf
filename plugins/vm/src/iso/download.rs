//! One download into the cache: resumed where an earlier one was cut off, checked, and put under
//! its name only when it is whole.
//!
//! Beside the file `X` there may be `X.part`, what has arrived so far of a download, and what the
//! server said about either: `X.part.state` and, where there is no checksum, `X.state`. The
//! caller holds the lock on `X`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ingot_sdk::download::{Broken, Part, content_range};
use ingot_sdk::file_work::with_suffix;
use ingot_sdk::retry::Retry;
use ingot_sdk::{Context, Error, Result, RunContext, byte_size, http, netrc};
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Response, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::Checksum;
use super::stall::{STALL, unless_stalled};

/// How often a download that breaks off is taken up again before the next URL is tried.
const TRIES: u32 = 8;
/// The most that is taken of a server that does not say how long the file is, in bytes.
const LARGEST: u64 = 1 << 40;

/// A file to download.
pub(super) struct Download<'a> {
    /// Where from.
    pub url: Url,
    /// What it must hash to.
    pub checksum: Option<&'a Checksum>,
    /// Where to.
    pub target: &'a Path,
}

/// What the server said about a file when its download began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// The SHA-1 of the URL, which may hold a password.
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
    /// Its whole length in bytes.
    length: Option<u64>,
}

impl State {
    /// The state that is written down at `path`; an empty one when there is none.
    fn read(path: &Path) -> State {
        let text = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn of(url: &Url, headers: &HeaderMap, length: Option<u64>) -> State {
        let header = |name: HeaderName| {
            headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        State {
            url: super::sha1(url.as_str()),
            etag: header(ETAG),
            last_modified: header(LAST_MODIFIED),
            length,
        }
    }

    /// What tells the server which version a part is of. Weak tags do not promise the same bytes.
    fn validator(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        strong.or(self.last_modified.as_deref())
    }
}

/// How what is in `X.part` came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetched {
    /// Nothing was fetched: the file in the cache is what the server has.
    Current,
    /// All of it in one go.
    Fresh,
    /// Put together from several answers.
    Resumed,
}

/// What is known of attempts that failed.
#[derive(Default)]
struct Again {
    /// Whether the last one is worth another.
    worth: AtomicBool,
    /// Whether the server has begun to send the file.
    has_begun: AtomicBool,
}

impl Again {
    fn worth<T>(&self, error: Error) -> Result<T> {
        self.worth.store(true, Ordering::Relaxed);
        Err(error)
    }

    /// Of a server that cannot be asked. Once it has begun to send, it is away for the moment.
    fn worth_if_begun<T>(&self, error: Error) -> Result<T> {
        match self.has_begun.load(Ordering::Relaxed) && !http::is_bad_certificate(&error) {
            true => self.worth(error),
            false => Err(error),
        }
    }
}

impl Download<'_> {
    /// Downloads, unless a good file is there already.
    ///
    /// # Errors
    /// What went wrong. What has arrived is kept for another try, unless its checksum is wrong.
    pub(super) async fn run(&self, ctx: &RunContext) -> Result<()> {
        let exists = std::fs::metadata(self.target).is_ok_and(|found| found.is_file());
        if exists && let Some(checksum) = self.checksum {
            match checksum.differs(ctx, self.target).await? {
                None => return Ok(()),
                Some(actual) => ctx.ui.say(format!(
                    "The file in the cache has the checksum {actual}; downloading it again"
                )),
            }
        }
        let keep = exists && self.checksum.is_none();
        let mut fetched = self.fetch(ctx, keep).await?;
        if fetched == Fetched::Current {
            ctx.ui.message("The file in the cache is current");
            return Ok(());
        }
        if let Some(checksum) = self.checksum {
            while let Some(actual) = checksum.differs(ctx, &self.part()).await? {
                self.start_over()?;
                let sent = format!(
                    "what {} sent has the {} checksum {actual}, not {}",
                    http::shown(self.url.as_str()),
                    checksum.algorithm(),
                    checksum.value()
                );
                if fetched != Fetched::Resumed {
                    return Err(Error::new(sent).hint(
                        "check `iso_checksum`; if it is right, the server has another file",
                    ));
                }
                // Perhaps the pieces were of different files.
                ctx.ui.say(format!("Starting over: {sent}"));
                self.fetch(ctx, false).await?;
                fetched = Fetched::Fresh;
            }
            remove(&self.part_state())?;
        } else {
            rename(&self.part_state(), &with_suffix(self.target, ".state"))?;
        }
        rename(&self.part(), self.target)
    }

    fn part(&self) -> PathBuf {
        with_suffix(self.target, ".part")
    }

    fn part_state(&self) -> PathBuf {
        with_suffix(self.target, ".part.state")
    }

    fn start_over(&self) -> Result<()> {
        remove(&self.part())?;
        remove(&self.part_state())
    }

    /// Gets `X.part` complete. With `keep`, first asks whether `X` is still what the server has.
    async fn fetch(&self, ctx: &RunContext, keep: bool) -> Result<Fetched> {
        let client = http::client()?;
        let again = Again::default();
        let retry = Retry {
            initial: Duration::from_millis(500),
            max: Duration::from_secs(10),
            tries: Some(TRIES),
            timeout: None,
        };
        let fetched = retry
            .run(
                &ctx.cancel,
                |error| {
                    let worth = again.worth.swap(false, Ordering::Relaxed);
                    if worth {
                        ctx.ui.error(format!("{error}; trying again"));
                    }
                    worth
                },
                |_| self.attempt(ctx, &client, keep, &again),
            )
            .await;
        fetched.with_context(|| format!("downloading {}", http::shown(self.url.as_str())))
    }

    async fn attempt(
        &self,
        ctx: &RunContext,
        client: &reqwest::Client,
        keep: bool,
        again: &Again,
    ) -> Result<Fetched> {
        let have = std::fs::metadata(self.part()).map_or(0, |found| found.len());
        let state = State::read(&self.part_state());
        let same_url = state.url == super::sha1(self.url.as_str());
        // Packer leaves no state.
        let kept = (keep && have == 0)
            .then(|| State::read(&with_suffix(self.target, ".state")))
            .filter(|kept| kept.url.is_empty() || kept.url == super::sha1(self.url.as_str()));
        let validator = state.validator().filter(|_| same_url);
        // Without a validator only the checksum can tell whether the pieces fit.
        let resume = have > 0 && (self.checksum.is_some() || validator.is_some());
        if resume && self.checksum.is_some() && state.length == Some(have) {
            return Ok(Fetched::Resumed);
        }
        let mut request = netrc::authorized(&ctx.ui, &self.url, client.get(self.asked()))?;
        if let Some(kept) = &kept {
            if let Some(etag) = &kept.etag {
                request = request.header(IF_NONE_MATCH, etag);
            } else if let Some(when) = &kept.last_modified {
                request = request.header(IF_MODIFIED_SINCE, when);
            }
        }
        if resume {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(validator) = validator {
                request = request.header(IF_RANGE, validator);
            }
        }
        let answer = match unless_stalled(request.send()).await.context("asking the server") {
            Ok(answer) => answer,
            Err(error) => return again.worth_if_begun(error),
        };
        let status = answer.status();
        if let Some(kept) = kept
            && (status == StatusCode::NOT_MODIFIED || self.looks_like(&kept, &answer))
        {
            return Ok(Fetched::Current);
        }
        let (from, length) = match (status, content_range(answer.headers())) {
            (StatusCode::PARTIAL_CONTENT, Some((from, length)))
                if resume && from == have && (state.length.is_none() || state.length == length) =>
            {
                ctx.ui.message(format!("Resuming at {from} bytes"));
                (from, length)
            }
            (StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE, _) if resume => {
                self.start_over()?;
                return again.worth(Error::new("what has arrived is not of the server's file"));
            }
            (StatusCode::OK, _) => (0, answer.content_length()),
            _ => {
                let error = Error::new(format!("the server returned {status}"));
                return match status.is_server_error() {
                    true => again.worth_if_begun(error),
                    false => Err(error),
                };
            }
        };
        again.has_begun.store(true, Ordering::Relaxed);
        if from == 0 {
            // The old part must not be taken for one of the new file.
            self.start_over()?;
            let text = serde_json::to_vec(&State::of(&self.url, answer.headers(), length))
                .context("noting what the server said")?;
            std::fs::write(self.part_state(), text)
                .with_context(|| format!("writing {}", self.part_state().display()))?;
        }
        match self.store(ctx, answer, from, length).await {
            Err(Broken::Sending(error)) => again.worth(error),
            Err(Broken::Writing(error)) => Err(error),
            Err(Broken::TooLong) => {
                self.start_over()?;
                let most = byte_size(length.unwrap_or(LARGEST));
                Err(Error::new(format!("the server sent more than {most}")))
            }
            Ok(()) if from > 0 => Ok(Fetched::Resumed),
            Ok(()) => Ok(Fetched::Fresh),
        }
    }

    /// Writes what the server sends to `X.part`, from the byte `from` on.
    async fn store(
        &self,
        ctx: &RunContext,
        answer: Response,
        from: u64,
        length: Option<u64>,
    ) -> Result<(), Broken> {
        let name = self.url.path().rsplit('/').next().unwrap_or_default();
        let progress = ctx.ui.progress(format!("Downloading {name}"), length);
        let path = self.part();
        let most = length.unwrap_or(LARGEST);
        let part = Part { path: &path, from, length, most, stall: STALL };
        let shown = move |position| progress.at(position, length);
        part.receive(answer, &ctx.cancel, shown).await
    }

    /// The URL without the parameters that are for the downloader.
    fn asked(&self) -> Url {
        let ours = |name: &str| matches!(name, "archive" | "checksum");
        let mut url = self.url.clone();
        if self.url.query_pairs().any(|(name, _)| ours(&name)) {
            let rest: Vec<_> = self.url.query_pairs().filter(|(name, _)| !ours(name)).collect();
            match rest.is_empty() {
                true => url.set_query(None),
                false => drop(url.query_pairs_mut().clear().extend_pairs(rest)),
            }
        }
        url
    }

    /// Whether a file of which nothing else is known is as long as the server's, which is all
    /// that Packer looks at.
    fn looks_like(&self, kept: &State, answer: &Response) -> bool {
        let length = std::fs::metadata(self.target).map(|found| found.len()).ok();
        kept.etag.is_none()
            && kept.last_modified.is_none()
            && answer.status() == StatusCode::OK
            && answer.content_length() == length
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::from(error).context(format!("removing {}", path.display())))
        }
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).with_context(|| format!("writing {}", to.display()))
}
