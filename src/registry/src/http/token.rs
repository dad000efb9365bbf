//! Tokens, by OAuth2's client credentials grant (RFC 6749, section 4.4), or in exchange for one of
//! another platform.

use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{TIMEOUT, status_error};
use crate::api::{Code, Error, Result};
use crate::settings::{Credentials, variable};
use crate::workload::Workload;

/// What HCP's tokens are for; its own text, whatever the address.
const AUDIENCE: &str = "https://api.hashicorp.cloud";
/// A token this near its end is not used any more.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a token lasts whose answer does not say.
const DEFAULT_LIFE: u64 = 600;

/// Gets tokens and keeps the last.
pub(super) struct TokenSource {
    pub client: Client,
    pub endpoint: Url,
    /// The client of the API, which exchanges tokens.
    pub api: Client,
    /// Where the API is.
    pub base: Url,
    pub credentials: Credentials,
    /// Hides a text wherever it would be shown.
    pub mask: super::Mask,
    pub current: Mutex<Option<Token>>,
}

/// A token.
#[derive(Clone)]
pub(super) struct Token {
    pub text: String,
    until: Instant,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    expires_in: Option<u64>,
}

/// Why there is none, as RFC 6749 has it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ApiError {
    error: String,
    error_description: String,
}

impl TokenSource {
    /// A token that is good now.
    pub(super) async fn token(&self) -> Result<Token> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.clone());
        }
        let token = self.fetch().await?;
        *current = Some(token.clone());
        Ok(token)
    }

    /// Forgets a token that was refused.
    pub(super) async fn forget(&self, refused: &Token) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|token| token.text == refused.text) {
            *current = None;
        }
    }

    async fn fetch(&self) -> Result<Token> {
        match &self.credentials {
            Credentials::Key { id, secret } => self.granted(id, secret).await,
            Credentials::Workload(workload) => self.exchanged(workload).await,
        }
    }

    /// A token of HCP's for one of the platform that this runs on.
    async fn exchanged(&self, workload: &Workload) -> Result<Token> {
        let unauthenticated = |text: String| Error::new(Code::Unauthenticated, text);
        let (subject, secrets) = workload.subject(&self.api, &variable).await.map_err(|why| {
            unauthenticated(format!("the workload identity of HCP_CRED_FILE: {why}"))
        })?;
        secrets.iter().filter(|secret| !secret.is_empty()).for_each(|secret| (self.mask)(secret));
        let host = super::host(&self.base);
        let mut url = self.base.clone();
        let resource = workload.provider_resource_name.trim_matches('/');
        url.set_path(&format!("/2019-12-10/{resource}/exchange-token"));
        let sent = self
            .api
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .timeout(TIMEOUT)
            .body(super::json(&subject)?)
            .send();
        self.answered(&host, sent).await
    }

    /// A token for a service principal's key.
    async fn granted(&self, id: &str, secret: &str) -> Result<Token> {
        let host = super::host(&self.endpoint);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("audience", AUDIENCE)
            .finish();
        // In the header both are written as in a form.
        let quoted = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let (id, secret): (String, String) = (quoted(id), quoted(secret));
        let sent = self
            .client
            .post(self.endpoint.clone())
            .basic_auth(id, Some(secret))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .timeout(TIMEOUT)
            .body(form)
            .send();
        self.answered(&host, sent).await
    }

    /// The token that `host` answers a call with.
    async fn answered(
        &self,
        host: &str,
        sent: impl Future<Output = reqwest::Result<reqwest::Response>>,
    ) -> Result<Token> {
        let unreachable = |error: reqwest::Error| {
            super::unreachable_error(format!("logging in at {host}"), error)
        };
        let answer = sent.await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        if !status.is_success() {
            let refusal: ApiError = serde_json::from_slice(&body).unwrap_or_default();
            let why = match (refusal.error.as_str(), refusal.error_description) {
                (_, text) if !text.is_empty() => text,
                ("", _) => return Err(status_error(status, &body, "logging in")),
                (error, _) => error.to_owned(),
            };
            let code = match status.as_u16() {
                400 | 401 => Code::Unauthenticated,
                403 => Code::PermissionDenied,
                429 => Code::ResourceExhausted,
                500.. => Code::Unavailable,
                _ => Code::Unknown,
            };
            return Err(Error::new(code, format!("{host} does not let us in: {why}")));
        }
        // What serde says may quote the token.
        let answer: TokenResponse = serde_json::from_slice(&body).map_err(|_| {
            Error::new(Code::Unauthenticated, format!("what {host} answered is no token"))
        })?;
        (self.mask)(&answer.access_token);
        let life = Duration::from_secs(answer.expires_in.unwrap_or(DEFAULT_LIFE));
        let until = Instant::now() + life.saturating_sub(MARGIN);
        Ok(Token { text: answer.access_token, until })
    }
}
