//! Requests to Sigstore's services: bounded in time and size, tried again where that may help, and
//! never sent on to another host, as they hold a token.

use std::time::Duration;

use ingot_sdk::retry::Retry;
use ingot_sdk::{Error, Result, http};
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, StatusCode};
use tokio_util::sync::CancellationToken;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A service that is busy or starts again is tried for some seconds.
const RETRY: Retry = Retry {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(8),
    tries: Some(4),
    timeout: Some(Duration::from_secs(120)),
};

/// How much of a service's own words an error shows.
const LONGEST_REASON: usize = 500;

/// The client for Sigstore's services.
pub(crate) struct Client(reqwest::Client);

/// A response of a service.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    /// Where it says that something is, if it does.
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new() -> Result<Client> {
        http::client_with(|builder| builder.redirect(Policy::none()).timeout(TIMEOUT)).map(Client)
    }

    /// Sends what `request` makes; an answer of more than `most` bytes is an error.
    pub(crate) async fn send(
        &self,
        cancel: &CancellationToken,
        most: usize,
        request: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response> {
        let attempt = |tried| {
            let request = request(&self.0);
            async move {
                let response = request.send().await.map_err(http::request_error)?;
                let status = response.status();
                let location = response.headers().get(LOCATION);
                let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
                let body = http::body(response, most).await?;
                let response = Response { status, location, body };
                let busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                match busy && tried < RETRY.tries.unwrap_or(1) {
                    true => Err(response.refused().transient()),
                    false => Ok(response),
                }
            }
        };
        RETRY.run(cancel, Error::is_transient, attempt).await
    }
}

impl Response {
    /// The body, where the service did what it was asked for.
    pub(crate) fn success(self) -> Result<Vec<u8>> {
        if self.status.is_success() { Ok(self.body) } else { Err(self.refused()) }
    }

    /// The error of a service that did not.
    pub(crate) fn refused(&self) -> Error {
        let json = serde_json::from_slice::<serde_json::Value>(&self.body).ok();
        let reason = json.as_ref().and_then(|json| json["message"].as_str()).map(str::to_owned);
        let reason = reason.unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned());
        let reason: String = reason.trim().chars().take(LONGEST_REASON).collect();
        let status = self.status;
        match reason.is_empty() {
            true => Error::new(format!("the service returned {status}")),
            false => Error::new(format!("the service returned {status}: {reason}")),
        }
    }
}
