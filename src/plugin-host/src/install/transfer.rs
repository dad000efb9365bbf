//! Requests to servers that have releases: bounded in time and size, repeated where that may help,
//! resumed where a download broke off.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ingot_sdk::download::{Broken, Part, content_range};
use ingot_sdk::environment::set_text;
use ingot_sdk::http::unless_stalled;
use ingot_sdk::retry::Retry;
use ingot_sdk::{Context, Error, GoDuration, Result, Ui, http};
use reqwest::header::{AUTHORIZATION, HeaderMap, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio_util::sync::CancellationToken;

use super::signature;

/// The variable with a token for GitHub, as in Packer.
const TOKEN: &str = "PACKER_GITHUB_API_TOKEN";
/// How long a server may send nothing, where `INGOT_PLUGIN_DOWNLOAD_TIMEOUT` does not say.
const STALL: Duration = Duration::from_secs(60);
/// How long one plugin may take in all.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// The largest program, and archive, in MiB, where `INGOT_PLUGIN_MAX_SIZE` does not say.
const MAX_SIZE: u64 = 1024;
/// How often a request is made, and a download that broke off taken up.
const TRIES: u32 = 4;
/// How many redirects are followed.
const MAX_REDIRECTS: usize = 10;

/// A request for something small.
pub(super) struct Request<'a> {
    pub url: &'a str,
    /// The largest response that is read, in bytes.
    pub limit: u64,
    /// Whether this is GitHub's API, which takes a token.
    pub github: bool,
}

impl<'a> Request<'a> {
    pub(super) fn new(url: &'a str, limit: u64) -> Request<'a> {
        Request { url, limit, github: false }
    }
}

/// Gets things from servers.
pub(super) struct Transfer {
    client: Client,
    stall: Duration,
    max_size: u64,
    token: Option<String>,
    /// What lists of checksums must be signed by.
    keyring: Option<PathBuf>,
    ui: Ui,
}

impl Transfer {
    /// # Errors
    /// A setting in the environment is wrong.
    pub(super) fn new(ui: Ui) -> Result<Transfer> {
        let stall = match set_text("INGOT_PLUGIN_DOWNLOAD_TIMEOUT") {
            Some(text) => {
                GoDuration::parse(&text)
                    .map_err(Error::new)
                    .context("INGOT_PLUGIN_DOWNLOAD_TIMEOUT, which is a duration such as 90s")?
                    .0
            }
            None => STALL,
        };
        let mebibytes = match set_text("INGOT_PLUGIN_MAX_SIZE") {
            Some(text) => text.parse().map_err(|_| {
                Error::new(format!(
                    "INGOT_PLUGIN_MAX_SIZE is {text:?}, not a number of MiB such as 2048"
                ))
            })?,
            None => MAX_SIZE,
        };
        let token = set_text(TOKEN);
        if let Some(token) = &token {
            ui.mask(token);
        }
        // What began encrypted stays so.
        let policy = Policy::custom(|attempt| {
            let was_secure = attempt.previous().first().is_some_and(|url| url.scheme() == "https");
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if was_secure && attempt.url().scheme() != "https" {
                attempt.error("redirected from https to http")
            } else {
                attempt.follow()
            }
        });
        Ok(Transfer {
            client: http::client_with(|builder| builder.redirect(policy))?,
            stall,
            max_size: u64::saturating_mul(mebibytes, 1 << 20),
            token,
            keyring: signature::keyring()?,
            ui,
        })
    }

    pub(super) fn ui(&self) -> &Ui {
        &self.ui
    }

    /// What lists of checksums must be signed by, if by anybody.
    pub(super) fn keyring(&self) -> Option<&Path> {
        self.keyring.as_deref()
    }

    /// The largest program, in bytes.
    pub(super) fn max_size(&self) -> u64 {
        self.max_size
    }

    /// How long one plugin may take.
    pub(super) fn deadline(&self) -> Duration {
        DEADLINE
    }

    /// What a request yields; none where there is no such thing.
    ///
    /// # Errors
    /// The server cannot be asked, says no, or sends too much.
    pub(super) async fn get(&self, request: &Request<'_>) -> Result<Option<Vec<u8>>> {
        let asked = self.retry(|| self.get_once(request));
        let got = match tokio::time::timeout(DEADLINE, asked).await {
            Ok(got) => got,
            Err(_) => Err(too_late()),
        };
        got.with_context(|| format!("asking {}", http::shown(request.url)))
    }

    async fn get_once(&self, request: &Request<'_>) -> Result<Option<Vec<u8>>> {
        let mut asked = self.client.get(request.url);
        if request.github
            && let Some(token) = &self.token
        {
            asked = asked.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = unless_stalled(self.stall, asked.send()).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(self.refusal(&response));
        }
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        http::body_unless_stalled(response, limit, self.stall).await.map(Some)
    }

    /// Downloads `url` to `part`, going on where an earlier download of it ended.
    ///
    /// # Errors
    /// The server cannot be asked, says no, or sends too much; or `part` cannot be written. What
    /// arrived is kept, as a later download may go on from there, unless it is too much for the disk
    /// or for what is allowed.
    pub(super) async fn download(&self, url: &str, part: &Path, sha256: &str) -> Result<()> {
        let name = url.rsplit('/').next().unwrap_or_default();
        let work = async {
            let resumed = self.retry(|| self.download_once(url, part, name)).await?;
            let hash = crate::cache::hash(None, part)?;
            if resumed && hash != sha256 {
                // Perhaps what was there was of another file.
                fs::remove_file(part)?;
                self.retry(|| self.download_once(url, part, name)).await?;
            }
            Ok(())
        };
        let done = match tokio::time::timeout(DEADLINE, work).await {
            Ok(done) => done,
            Err(_) => Err(too_late()),
        };
        let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
        if let Err(error) = &done
            && full.iter().any(|kind| error.is_io(*kind))
        {
            // It takes the room itself.
            let _ = fs::remove_file(part);
        }
        done.with_context(|| format!("downloading {}", http::shown(url)))
    }

    /// Whether the download was resumed.
    async fn download_once(&self, url: &str, part: &Path, name: &str) -> Result<bool> {
        let have = fs::metadata(part).map_or(0, |found| found.len());
        let mut asked = self.client.get(url);
        if have > 0 {
            asked = asked.header(RANGE, format!("bytes={have}-"));
        }
        let response = unless_stalled(self.stall, asked.send()).await?;
        let from = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT
                if content_range(response.headers()).is_some_and(|(from, _)| from == have) =>
            {
                have
            }
            // It is whole, or it is of another file: the checksum tells.
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(true),
            StatusCode::NOT_FOUND => {
                return Err(Error::new("the release has no such file")
                    .hint("the list of checksums of the release names it: report it to those who publish the plugin"));
            }
            _ => return Err(self.refusal(&response)),
        };
        let total = response.content_length().map(|rest| from.saturating_add(rest));
        let progress = self.ui.progress(format!("Downloading {name}"), total);
        let shown = move |position| progress.at(position, total);
        let part_file =
            Part { path: part, from, length: total, most: self.max_size, stall: self.stall };
        match part_file.receive(response, &CancellationToken::new(), shown).await {
            Ok(()) => Ok(from > 0),
            Err(Broken::Sending(error) | Broken::Writing(error)) => Err(error),
            Err(Broken::TooLong) => Err(self.too_large(part)),
        }
    }

    /// The error of a download that nobody will go on with.
    fn too_large(&self, part: &Path) -> Error {
        let _ = fs::remove_file(part);
        Error::new(format!("it is larger than {} MiB", self.max_size >> 20))
            .hint("INGOT_PLUGIN_MAX_SIZE says how many MiB a plugin may have")
    }

    async fn retry<T, F: Future<Output = Result<T>>>(
        &self,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T> {
        let retry = Retry {
            initial: Duration::from_millis(300),
            max: Duration::from_secs(5),
            tries: Some(TRIES),
            timeout: None,
        };
        retry.run(&CancellationToken::new(), Error::is_transient, |_| attempt()).await
    }

    /// What a response that is none means.
    fn refusal(&self, response: &Response) -> Error {
        let status = response.status();
        if let Some(wait) = rate_limit(status, response.headers()) {
            let when = match wait {
                Some(wait) => format!("; try again in {} minutes", wait.as_secs().div_ceil(60)),
                None => String::new(),
            };
            let error = Error::new(format!("the server takes no more requests for now{when}"));
            return match self.token {
                Some(_) => error,
                None => error.hint(format!(
                    "set {TOKEN} to a token of GitHub, with which it takes more requests"
                )),
            };
        }
        let error = Error::new(format!("the server returned {status}"));
        match status {
            StatusCode::UNAUTHORIZED if self.token.is_some() => {
                error.hint(format!("check the token in {TOKEN}"))
            }
            status if status.is_server_error() => error.transient(),
            _ => error,
        }
    }
}

fn too_late() -> Error {
    Error::new(format!("it took longer than {} minutes", DEADLINE.as_secs() / 60))
}

/// Whether a server refuses because it was asked too often, and how long to wait where it says so.
/// GitHub says either with 403 or 429.
fn rate_limit(status: StatusCode, headers: &HeaderMap) -> Option<Option<Duration>> {
    if !matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if let Some(seconds) = number(RETRY_AFTER.as_str()) {
        return Some(Some(Duration::from_secs(seconds)));
    }
    let spent = number("x-ratelimit-remaining") == Some(0);
    if !spent && status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let reset = number("x-ratelimit-reset").map(Duration::from_secs);
    Some(reset.map(|reset| reset.saturating_sub(now)))
}
