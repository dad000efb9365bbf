//! The client: requests, with their retries, and responses.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ingot_sdk::error::{IntoSdkError, causes};
use ingot_sdk::http;
use ingot_sdk::retry::{Retry, Stopped};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::token::TokenSource;
use crate::api::{Code, Error, Location, Result, Status};
use crate::settings::{Credentials, Remote};

/// Hides a text wherever it would be shown.
pub type Mask = Arc<dyn Fn(&str) + Send + Sync>;

/// How long an answer may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// The largest answer that is read, in bytes: a page of versions with all their builds is far
/// below.
const LARGEST_ANSWER: usize = 64 << 20;

/// The header in which clients of HCP say who they are.
const SOURCE_CHANNEL: &str = "X-HCP-Source-Channel";

/// How often a call is tried that may succeed later.
const RETRY: Retry = Retry {
    initial: Duration::from_millis(250),
    max: Duration::from_secs(4),
    tries: Some(4),
    timeout: None,
};

/// A registry behind an address.
pub struct HttpRegistry {
    pub(super) client: Client,
    pub(super) base: Url,
    pub(super) tokens: TokenSource,
    pub(super) location: Location,
}

impl fmt::Debug for HttpRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRegistry")
            .field("base", &self.base.as_str())
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

/// What is asked.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// The path's parts, which are quoted where they need it.
    pub(super) path: Vec<&'a str>,
    pub(super) query: Vec<(String, String)>,
    /// JSON.
    pub(super) body: Option<Vec<u8>>,
    /// Whether asking twice is as good as asking once, or is noticed and made good.
    pub(super) repeatable: bool,
}

/// Why a try failed.
struct Failure {
    pub(super) error: Error,
    /// Whether trying again may help.
    again: bool,
    /// Whether what was asked may have been done all the same.
    perhaps_done: bool,
    /// Whether the registry itself said so, and not something before it.
    told: bool,
}

impl Failure {
    /// That what was asked has not been done.
    fn undone(error: Error, again: bool) -> Self {
        Failure { error, again, perhaps_done: false, told: false }
    }
}

/// Calls are not cancelled, so that they are never stopped.
impl Stopped for Failure {
    fn stopped() -> Self {
        let error = Error::new(Code::Unavailable, "the call was cancelled");
        Failure::undone(error, false)
    }

    fn is_stopped(&self) -> bool {
        false
    }
}

/// What came of a call.
pub(super) struct Answered<T> {
    pub(super) result: Result<T>,
    /// Whether a try whose answer was lost may have done it before.
    pub(super) perhaps_before: bool,
    /// Whether a failure is what the registry itself says, and not something before it.
    pub(super) told: bool,
}

/// A client that may accept any certificate.
fn client(insecure: bool, redirects: Policy) -> Result<Client> {
    http::client_with(|builder| {
        let builder = builder.redirect(redirects);
        match insecure {
            true => builder.tls_danger_accept_invalid_certs(true),
            false => builder,
        }
    })
    .map_err(|error| Error::new(Code::Internal, error.to_string()))
}

/// A client for what gives out tokens: it is sent secrets, and nobody that it names may be.
pub(super) fn client_for_tokens(insecure: bool) -> Result<Client> {
    client(insecure, Policy::none())
}

impl HttpRegistry {
    /// Logs in, and finds out which organization and project are meant.
    ///
    /// # Errors
    /// Nobody answers, the credentials are refused, or what they give access to is not clear.
    pub async fn connect(settings: &Remote, mask: Mask) -> Result<HttpRegistry> {
        if let Credentials::Key { secret, .. } = &settings.credentials {
            mask(secret);
        }
        let api = client(settings.api_insecure, Policy::default())?;
        let exchange = match &settings.credentials {
            Credentials::Workload(_) => client_for_tokens(settings.api_insecure)?,
            _ => api.clone(),
        };
        let mut registry = HttpRegistry {
            client: api.clone(),
            base: settings.api.clone(),
            tokens: TokenSource {
                client: client_for_tokens(settings.auth_insecure)?,
                endpoint: settings.token.clone(),
                api,
                exchange,
                base: settings.api.clone(),
                credentials: settings.credentials.clone(),
                mask,
                current: tokio::sync::Mutex::default(),
            },
            location: Location::default(),
        };
        registry.location = registry.find_location(settings).await?;
        Ok(registry)
    }

    /// Asks, again where that may help.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Answered<T> {
        let perhaps_before = AtomicBool::new(false);
        let (call, perhaps_done_before) = (&call, &perhaps_before);
        let attempt = |_| async move {
            let tried = self.once(call).await;
            if let Err(Failure { error, again: true, perhaps_done, .. }) = &tried {
                perhaps_done_before.fetch_or(*perhaps_done, Ordering::Relaxed);
                tracing::debug!(%error, "the registry did not respond");
            }
            tried
        };
        // Calls are short, and what they tell has to arrive even when a build was cancelled.
        let never = CancellationToken::new();
        let body = RETRY.run_with(&never, |failure: &Failure| failure.again, attempt).await;
        let told = body.as_ref().is_err_and(|failure| failure.told);
        let result = body.map_err(|failure| failure.error).and_then(|body| self.read(&body));
        Answered { result, perhaps_before: perhaps_before.into_inner(), told }
    }

    /// What an answer says.
    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T> {
        let text = if body.is_empty() { b"{}".as_slice() } else { body };
        serde_json::from_slice(text).map_err(|error| {
            let host = host(&self.base);
            Error::new(Code::Internal, format!("invalid response from {host}: {error}"))
        })
    }

    async fn once(&self, call: &Call<'_>) -> Result<Vec<u8>, Failure> {
        let token = self.tokens.token().await.map_err(|error| {
            let again = error.code == Code::Unavailable || error.code == Code::ResourceExhausted;
            Failure::undone(error, again)
        })?;
        let result = self.send(call, &token.text).await;
        if result.as_ref().is_err_and(|failure| failure.error.code == Code::Unauthenticated) {
            // It may have been taken back: a new one is asked for, once.
            self.tokens.forget(&token).await;
            let token = self.tokens.token().await;
            let token = token.map_err(|error| Failure::undone(error, false))?;
            return self.send(call, &token.text).await;
        }
        result
    }

    async fn send(&self, call: &Call<'_>, token: &str) -> Result<Vec<u8>, Failure> {
        let host = host(&self.base);
        let last = |error: Error| Failure::undone(error, false);
        let url = self.url(call);
        tracing::debug!(method = %call.method, path = url.path(), "asking the registry");
        let mut headers = HeaderMap::new();
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            last(Error::new(Code::Unauthenticated, "the token cannot be sent in a header"))
        })?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let channel = concat!("ingot/", env!("CARGO_PKG_VERSION"));
        headers.insert(SOURCE_CHANNEL, HeaderValue::from_static(channel));
        let mut request =
            self.client.request(call.method.clone(), url).headers(headers).timeout(TIMEOUT);
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let unreachable = |error: reqwest::Error| {
            // What never got there can be sent again whatever it is.
            let perhaps_done = !error.is_connect();
            let again = !perhaps_done || call.repeatable;
            let error = unreachable_error(format!("asking {host}"), error);
            Failure { error, again, perhaps_done, told: false }
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let Some(body) = bounded(answer).await.map_err(unreachable)? else {
            return Err(last(too_long(&host)));
        };
        if status.is_success() {
            return Ok(body);
        }
        let reported = reported(&body);
        let told = reported.is_some();
        // A registry says if it was lost at the end of a change, and has done nothing otherwise. What
        // stands before it may have lost its answer.
        let perhaps_done = match status {
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => true,
            StatusCode::SERVICE_UNAVAILABLE => reported.as_ref().is_none_or(|it| it.perhaps_done),
            _ => false,
        };
        let again = match status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::SERVICE_UNAVAILABLE if !perhaps_done => true,
            _ => call.repeatable && perhaps_done,
        };
        let error = reported.unwrap_or_else(|| plain_error(status, &host));
        Err(Failure { error, again, perhaps_done, told })
    }

    /// What is at a URL that the registry gave, which needs no token and is a secret itself.
    pub(super) async fn download(&self, url: &str) -> Result<Vec<u8>> {
        (self.tokens.mask)(url);
        let url: Url = url.parse().ok().filter(|url: &Url| url.has_host()).ok_or_else(|| {
            Error::new(Code::Internal, "the registry gave no URL to download from")
        })?;
        let host = host(&url);
        let attempt = |_| {
            let request = self.client.get(url.clone()).timeout(TIMEOUT);
            let host = &host;
            async move {
                let unreachable = |error: reqwest::Error| {
                    let error = unreachable_error(format!("downloading from {host}"), error);
                    Failure::undone(error, true)
                };
                let last = |error| Failure::undone(error, false);
                let answer = request.send().await.map_err(unreachable)?;
                let status = answer.status();
                let body = bounded(answer).await.map_err(unreachable)?;
                let body = body.ok_or_else(|| last(too_long(host)))?;
                if status.is_success() {
                    return Ok(body);
                }
                let error = status_error(status, &body, host);
                let again = error.code.is_transient();
                Err(Failure::undone(error, again))
            }
        };
        let never = CancellationToken::new();
        let body = RETRY.run_with(&never, |failure: &Failure| failure.again, attempt).await;
        body.map_err(|failure| failure.error)
    }

    fn url(&self, call: &Call<'_>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(&call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        url
    }
}

/// What an answer holds; none if that is more than is read.
pub(super) async fn bounded(answer: reqwest::Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    http::bounded(answer, LARGEST_ANSWER).await
}

pub(super) fn too_long(host: &str) -> Error {
    Error::new(Code::Internal, format!("{host} returned more than {LARGEST_ANSWER} bytes"))
}

/// A call's body.
pub(super) fn json<T: Serialize>(body: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(body).map_err(|error| Error::new(Code::Internal, error.to_string()))
}

/// That somebody could not be asked, and what to do about it.
pub(super) fn unreachable_error(doing: String, error: reqwest::Error) -> Error {
    let advice = advice(&error);
    let why = error.into_sdk_error();
    Error::new(Code::Unavailable, format!("{doing}: {why}")).advise(advice)
}

fn advice(error: &reqwest::Error) -> Option<&'static str> {
    if http::is_bad_certificate(error) {
        return Some(
            "set SSL_CERT_FILE to the file of the certificate that the registry's is signed by; \
             `ingot registry serve` prints where its own is",
        );
    }
    let is_plain = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(rustls::Error::InvalidMessage(_)))
    };
    if causes(error).any(is_plain) {
        return Some(
            "there is no TLS at this address; for a registry that is served with -plain-http set \
             INGOT_REGISTRY=http://HOST:PORT",
        );
    }
    error.is_connect().then_some(
        "check that the registry is running, and its address: INGOT_REGISTRY, or HCP_API_ADDRESS and \
         HCP_AUTH_URL",
    )
}

/// Where a URL points, for people.
pub(crate) fn host(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// What an answer that is no success says.
pub(super) fn status_error(status: StatusCode, body: &[u8], place: &str) -> Error {
    reported(body).unwrap_or_else(|| plain_error(status, place))
}

/// The error that a registry's answer holds.
fn reported(body: &[u8]) -> Option<Error> {
    let status = serde_json::from_slice::<Status>(body).ok()?;
    (status.code != 0 && !status.message.is_empty()).then(|| status.into())
}

/// What is known of an answer that holds none. A registry says what is wrong with a request, so that it
/// is something before it that refuses one without: nothing that holds for good.
fn plain_error(status: StatusCode, place: &str) -> Error {
    let code = match status.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        408 => Code::Unavailable,
        409 => Code::Aborted,
        429 => Code::ResourceExhausted,
        // A registry that cannot do something says so; one without it answers 404.
        501 => Code::Unknown,
        500.. => Code::Unavailable,
        _ => Code::Unknown,
    };
    let too_large = (status == StatusCode::PAYLOAD_TOO_LARGE).then_some(
        "what stands before the registry, such as a proxy, limits the size of requests; that of an SBOM \
         has up to 11 MiB",
    );
    Error::new(code, format!("{place} returned {status}")).advise(too_large)
}
