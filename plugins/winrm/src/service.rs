//! The WinRM service of one machine: messages there and back.

use std::time::Duration;

use ingot_sdk::error::{IntoSdkError, causes};
use ingot_sdk::http::is_bad_certificate;
use ingot_sdk::{Result, http};
use reqwest::header::CONTENT_TYPE;

use crate::answer;
use crate::failure::{Failure, Place};
use crate::message::Request;

/// How long the service may think about a request, and how long it keeps the question for more
/// output open. Windows allows a minute by default.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the network may add to that.
const NETWORK_GRACE: Duration = Duration::from_secs(30);

/// A machine's WinRM service.
pub(crate) struct Service {
    place: Place,
    url: String,
    password: String,
    client: reqwest::Client,
}

impl Service {
    /// The service at `place`, of which nothing is asked yet.
    ///
    /// # Errors
    /// There can be no HTTP client.
    pub(crate) fn new(
        place: Place,
        password: String,
        any_certificate: bool,
        no_proxy: bool,
    ) -> Result<Self> {
        let client = http::client_with(|builder| {
            let builder = builder.tls_danger_accept_invalid_certs(any_certificate);
            // A redirect would carry the password elsewhere.
            let builder = builder.redirect(reqwest::redirect::Policy::none());
            if no_proxy { builder.no_proxy() } else { builder }
        })?;
        let url = place.url();
        reqwest::Url::parse(&url).map_err(|error| {
            ingot_sdk::Error::new(format!("`{}` is not the name of a host: {error}", place.host))
        })?;
        Ok(Service { place, url, password, client })
    }

    /// The machine, as messages name it.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Asks for something and returns the answer, which is not a fault.
    ///
    /// # Errors
    /// There was no answer, or it is one.
    pub(crate) async fn ask(&self, request: Request<'_>) -> Result<String, Failure> {
        let sent = self
            .client
            .post(&self.url)
            .basic_auth(&self.place.user, Some(&self.password))
            .header(CONTENT_TYPE, "application/soap+xml;charset=UTF-8")
            .timeout(PATIENCE + NETWORK_GRACE)
            .body(request.envelope(&self.url, PATIENCE))
            .send()
            .await;
        let answer = sent.map_err(network)?;
        let status = answer.status();
        if status == reqwest::StatusCode::UNAUTHORIZED {
            return Err(Failure::Login);
        }
        let text = answer.text().await.map_err(network)?;
        if let Some(fault) = answer::fault(&text) {
            return Err(Failure::Fault(fault));
        }
        match status.is_success() {
            true => Ok(text),
            false => Err(Failure::NotWinrm(status.as_u16())),
        }
    }
}

/// What a failure to get an answer is.
fn network(error: reqwest::Error) -> Failure {
    if error.is_timeout() && !error.is_connect() {
        return Failure::Silence;
    }
    if error.is_builder() {
        let text = error.into_sdk_error().context("making a request").to_string();
        return Failure::Request(text);
    }
    // The outermost message only says that a request failed; the innermost says why.
    let why = causes(&error).skip(1).last().map(ToString::to_string);
    match why {
        Some(why) if is_bad_certificate(&error) => Failure::Certificate(why),
        Some(why) => Failure::Network(why),
        None => Failure::Network(error.into_sdk_error().context("HTTP").to_string()),
    }
}
