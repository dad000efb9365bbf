//! The client: requests, with their retries, and responses.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use ingot_base::retry::{Retry, Stopped};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::request::{Mask, TIMEOUT, client, client_for_tokens};
use super::response::{
    bounded, host, not_found_by_registry, plain_error, reported, too_long, unreachable_error,
};
use super::token::TokenSource;
use crate::api::{Code, Error, Location, Result};
use crate::settings::{Credentials, Remote};

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
    retryable: bool,
    /// Whether what was asked may have been done all the same.
    perhaps_done: bool,
    /// Whether the registry itself said so, and not something before it.
    from_registry: bool,
}

impl Failure {
    /// That what was asked has not been done.
    fn undone(error: Error, retryable: bool) -> Self {
        Failure { error, retryable, perhaps_done: false, from_registry: false }
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

/// The outcome of a call.
pub(super) struct CallOutcome<T> {
    pub(super) result: Result<T>,
    /// Whether a try whose answer was lost may have done it before.
    pub(super) perhaps_before: bool,
    /// Whether a failure is what the registry itself says, and not something before it.
    pub(super) from_registry: bool,
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
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> CallOutcome<T> {
        let perhaps_before = AtomicBool::new(false);
        let (call, perhaps_done_before) = (&call, &perhaps_before);
        let attempt = |_| async move {
            let tried = self.once(call).await;
            if let Err(Failure { error, retryable: true, perhaps_done, .. }) = &tried {
                perhaps_done_before.fetch_or(*perhaps_done, Ordering::Relaxed);
                tracing::debug!(%error, "the registry did not respond");
            }
            tried
        };
        // Calls are short, and what they tell has to arrive even when a build was cancelled.
        let never = CancellationToken::new();
        let body = RETRY.run_with(&never, |failure: &Failure| failure.retryable, attempt).await;
        let from_registry = body.as_ref().is_err_and(|failure| failure.from_registry);
        let result = body.map_err(|failure| failure.error).and_then(|body| self.read(&body));
        CallOutcome { result, perhaps_before: perhaps_before.into_inner(), from_registry }
    }

    /// What an answer says.
    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T> {
        let text = if body.is_empty() { b"{}".as_slice() } else { body };
        serde_json::from_slice(text).map_err(|error| {
            let host = host(&self.base);
            Error::new(Code::Internal, format!("invalid response from {host}: {error}"))
        })
    }

    /// Boxed, so that the compiler proves once that it can move between threads, and not for each
    /// operation.
    fn once<'a>(&'a self, call: &'a Call<'a>) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(async move {
            let token = self.tokens.token().await.map_err(|error| {
                let retryable =
                    error.code == Code::Unavailable || error.code == Code::ResourceExhausted;
                Failure::undone(error, retryable)
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
        })
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
            let retryable = !perhaps_done || call.repeatable;
            let error = unreachable_error(format!("asking {host}"), error);
            Failure { error, retryable, perhaps_done, from_registry: false }
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let Some(body) = bounded(response).await.map_err(unreachable)? else {
            return Err(last(too_long(&host)));
        };
        if status.is_success() {
            return Ok(body);
        }
        let reported = reported(&body);
        let from_registry = reported.is_some();
        // A registry says if it was lost at the end of a change, and has done nothing otherwise. What
        // stands before it may have lost its answer.
        let perhaps_done = match status {
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => true,
            StatusCode::SERVICE_UNAVAILABLE => reported.as_ref().is_none_or(|it| it.perhaps_done),
            _ => false,
        };
        let retryable = match status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::SERVICE_UNAVAILABLE if !perhaps_done => true,
            _ => call.repeatable && perhaps_done,
        };
        let error = reported.unwrap_or_else(|| plain_error(status, &host));
        Err(Failure { error, retryable, perhaps_done, from_registry })
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
                let response = request.send().await.map_err(unreachable)?;
                let status = response.status();
                let body = bounded(response).await.map_err(unreachable)?;
                let body = body.ok_or_else(|| last(too_long(host)))?;
                if status.is_success() {
                    return Ok(body);
                }
                let reported = reported(&body);
                let from_registry = reported.is_some();
                let error = reported.unwrap_or_else(|| plain_error(status, host));
                let error = not_found_by_registry(error, from_registry);
                let retryable = error.code.is_transient();
                Err(Failure::undone(error, retryable))
            }
        };
        let never = CancellationToken::new();
        let body = RETRY.run_with(&never, |failure: &Failure| failure.retryable, attempt).await;
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
