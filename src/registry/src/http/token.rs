//! Tokens, by OAuth2's client credentials grant (RFC 6749, section 4.4), in exchange for one of
//! another platform, or of somebody's own login.

use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::request::{Mask, TIMEOUT, client_for_tokens, json};
use super::response::{bounded, status_error, too_long, unreachable_error};
use crate::api::{Code, Error, Result};
use crate::environment::variable;
use crate::login::{Entry, Login, LoginSettings, StoredLogin};
use crate::settings::Credentials;
use crate::workload::Workload;

/// What HCP's tokens are for; its own text, whatever the address.
pub(crate) const AUDIENCE: &str = "https://api.hashicorp.cloud";
const FORM: &str = "application/x-www-form-urlencoded";
/// A token this near its end is not used any more.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a token lasts whose answer does not say, in seconds.
const DEFAULT_LIFE: f64 = 600.0;
/// How long it lasts at most, whatever the answer says.
const MOST_LIFE: f64 = 365.0 * 24.0 * 60.0 * 60.0;
/// What to do about a login that is no good.
const LOG_IN: &str = "log in again: `ingot registry login`";

/// Gets tokens and keeps the last.
pub(super) struct TokenSource {
    pub client: Client,
    pub endpoint: Url,
    /// The client of the API.
    pub api: Client,
    /// The one that exchanges tokens there.
    pub exchange: Client,
    /// Where the API is.
    pub base: Url,
    pub credentials: Credentials,
    /// Hides a text wherever it would be shown.
    pub mask: Mask,
    pub current: Mutex<Current>,
}

/// The last token.
#[derive(Default)]
pub(super) struct Current {
    token: Option<Token>,
    /// One that was refused though it should be good.
    refused: Option<String>,
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
    refresh_token: Option<String>,
    expires_in: Option<Value>,
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
        let last = current.token.as_ref();
        if let Some(token) = last.filter(|token| token.until > Instant::now()) {
            return Ok(token.clone());
        }
        let token = self.fetch(current.refused.as_deref()).await?;
        current.token = Some(token.clone());
        Ok(token)
    }

    /// Forgets a token that was refused.
    pub(super) async fn forget(&self, refused: &Token) {
        let mut current = self.current.lock().await;
        if current.token.as_ref().is_some_and(|token| token.text == refused.text) {
            *current = Current { token: None, refused: Some(refused.text.clone()) };
        }
    }

    async fn fetch(&self, refused: Option<&str>) -> Result<Token> {
        match &self.credentials {
            Credentials::Key { id, secret } => self.granted(id, secret).await,
            Credentials::Workload(workload) => self.exchanged(workload).await,
            Credentials::Login(login) => self.of_login(login, refused).await,
        }
    }

    /// The token of somebody's login, renewed if it has ended or was `refused`.
    async fn of_login(&self, login: &Login, refused: Option<&str>) -> Result<Token> {
        let kept = StoredLogin::of(login);
        let good = |entry: &Entry| {
            let left = entry.access_token_expiry - OffsetDateTime::now_utc();
            let left = Duration::try_from(left).ok()?.checked_sub(MARGIN)?;
            let known = !entry.access_token.is_empty() && refused != Some(&entry.access_token);
            known.then(|| Token {
                text: entry.access_token.clone(),
                until: Instant::now().checked_add(left).unwrap_or_else(Instant::now),
            })
        };
        let unreadable = |error: ingot_base::Error| {
            Error::new(Code::Unauthenticated, format!("your login to HCP: {error}"))
        };
        let read = || -> Result<Option<Entry>> {
            let entry = kept.entry().map_err(unreadable)?;
            if let Some(entry) = &entry {
                (self.mask)(&entry.access_token);
                (self.mask)(&entry.refresh_token);
            }
            Ok(entry)
        };
        if let Some(token) = read()?.as_ref().and_then(good) {
            return Ok(token);
        }
        // Where there can be no lock, as in a directory that is only read, there is nobody to wait for.
        let lock = kept.lock().await;
        let warn = |error: &ingot_base::Error| tracing::warn!(%error, "renewing without a lock");
        let _lock = lock.inspect_err(warn).ok();
        // Another process may have renewed it meanwhile.
        let entry = read()?;
        if let Some(token) = entry.as_ref().and_then(good) {
            return Ok(token);
        }
        let ended = |why: &str| {
            Error::new(Code::Unauthenticated, format!("your login to HCP has ended{why}"))
                .advise(Some(LOG_IN))
        };
        let renewal = entry.map(|entry| entry.refresh_token).filter(|token| !token.is_empty());
        let Some(renewal) = renewal else { return Err(ended("")) };
        let sent = by_form(
            &self.client,
            &self.endpoint,
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", &renewal),
                ("client_id", &login.client_id),
            ],
        );
        let host = super::host(&self.endpoint);
        let response = match token_response(&self.mask, &host, sent).await {
            Ok(response) => response,
            Err(TokenError { reason: Some(reason), error }) if reason == "invalid_grant" => {
                // HCP's own tools take no lock, and one of them may have renewed it meanwhile.
                let other = read()?.as_ref().and_then(good);
                return other.ok_or_else(|| ended(&format!(": {}", error.message)));
            }
            Err(other) => return Err(other.error),
        };
        let entry = response.entry(login, &renewal);
        // What cannot be kept is good for this run all the same.
        if let Err(error) = kept.replace(&renewal, &entry) {
            tracing::warn!(%error, "the renewed login is not kept");
        }
        Ok(response.token())
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
            .exchange
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .timeout(TIMEOUT)
            .body(json(&subject)?)
            .send();
        let response =
            token_response(&self.mask, &host, sent).await.map_err(|failed| failed.error)?;
        Ok(response.token())
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
            .header(CONTENT_TYPE, FORM)
            .timeout(TIMEOUT)
            .body(form)
            .send();
        let response =
            token_response(&self.mask, &host, sent).await.map_err(|failed| failed.error)?;
        Ok(response.token())
    }
}

/// The login that a code of HCP's page is good for.
///
/// # Errors
/// HCP does not answer, or not with tokens.
pub(crate) async fn code_exchanged(
    settings: &LoginSettings,
    code: &str,
    redirect: &str,
    verifier: &str,
    mask: Mask,
) -> ingot_base::Result<Entry> {
    let client = client_for_tokens(settings.auth_insecure);
    let exchanged = async {
        let sent = by_form(
            &client?,
            &settings.token,
            &[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", redirect),
                ("client_id", &settings.login.client_id),
                ("code_verifier", verifier),
            ],
        );
        token_response(&mask, &super::host(&settings.token), sent)
            .await
            .map_err(|failed| failed.error)
    };
    let response = exchanged.await.map_err(|error: Error| {
        let found = ingot_base::Error::new(error.message);
        match error.advice {
            Some(advice) => found.hint(advice),
            None => found,
        }
    })?;
    Ok(response.entry(&settings.login, ""))
}

/// Sends a form without credentials: whoever logs in has a client without a secret.
fn by_form(
    client: &Client,
    endpoint: &Url,
    fields: &[(&str, &str)],
) -> impl Future<Output = reqwest::Result<reqwest::Response>> + use<> {
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    client.post(endpoint.clone()).header(CONTENT_TYPE, FORM).timeout(TIMEOUT).body(form).send()
}

/// Why there is no token.
struct TokenError {
    /// RFC 6749's word for it, where the answer has one.
    reason: Option<String>,
    error: Error,
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        TokenError { reason: None, error }
    }
}

/// The token that `host` answers a call with.
async fn token_response(
    mask: &Mask,
    host: &str,
    sent: impl Future<Output = reqwest::Result<reqwest::Response>>,
) -> Result<TokenResponse, TokenError> {
    let unreachable =
        |error: reqwest::Error| unreachable_error(format!("logging in at {host}"), error);
    let response = sent.await.map_err(unreachable)?;
    let status = response.status();
    if status.is_redirection() {
        // Whoever is named there would be sent the secret.
        let error =
            format!("{host} redirects token requests ({status}); redirects are not followed");
        return Err(Error::new(Code::Unauthenticated, error).into());
    }
    let body = bounded(response).await.map_err(unreachable)?.ok_or_else(|| too_long(host))?;
    if !status.is_success() {
        let api_error: ApiError = serde_json::from_slice(&body).unwrap_or_default();
        let why = match (api_error.error.as_str(), api_error.error_description) {
            (_, text) if !text.is_empty() => text,
            ("", _) => return Err(status_error(status, &body, "logging in").into()),
            (error, _) => error.to_owned(),
        };
        let code = match status.as_u16() {
            400 | 401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            429 => Code::ResourceExhausted,
            500.. => Code::Unavailable,
            _ => Code::Unknown,
        };
        let error = Error::new(code, format!("{host} does not let us in: {why}"));
        return Err(TokenError { reason: Some(api_error.error), error });
    }
    // What serde says may quote the token.
    let response: Option<TokenResponse> = serde_json::from_slice(&body).ok();
    let is_token =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let response =
        response.filter(|response| is_token(&response.access_token)).ok_or_else(|| {
            Error::new(Code::Unauthenticated, format!("{host} returned no valid token"))
        })?;
    mask(&response.access_token);
    response.refresh_token.iter().for_each(|token| mask(token));
    Ok(response)
}

impl TokenResponse {
    /// How long it lasts. Some write the seconds in quotes, or with a point.
    fn life(&self) -> Duration {
        let seconds = match &self.expires_in {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        let seconds = seconds.filter(|seconds| !f64::is_nan(*seconds)).unwrap_or(DEFAULT_LIFE);
        Duration::from_secs_f64(seconds.clamp(0.0, MOST_LIFE))
    }

    fn token(&self) -> Token {
        let until = Instant::now() + self.life().saturating_sub(MARGIN);
        Token { text: self.access_token.clone(), until }
    }

    /// The login that this is. `renewal` renews it unless the answer brings another token for that.
    fn entry(&self, login: &Login, renewal: &str) -> Entry {
        let new = self.refresh_token.as_deref().filter(|token| !token.is_empty());
        Entry {
            access_token: self.access_token.clone(),
            refresh_token: new.unwrap_or(renewal).to_owned(),
            access_token_expiry: OffsetDateTime::now_utc() + self.life(),
            geography: login.geography.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifetime_of_a_token_is_read_in_all_forms() {
        let life = |expires_in: &str| {
            let text =
                format!(r#"{{"access_token":"a","refresh_token":null,"expires_in":{expires_in}}}"#);
            serde_json::from_str::<TokenResponse>(&text).unwrap().life().as_secs()
        };
        assert_eq!([life("3600"), life("3600.0"), life(r#""3600""#)], [3600; 3]);
        assert_eq!([life("-5"), life("0")], [0; 2]);
        assert_eq!([life("null"), life("true"), life(r#""soon""#), life(r#""NaN""#)], [600; 4]);
        assert_eq!([life("1e300"), life("18446744073709551615")], [365 * 24 * 60 * 60; 2]);
    }
}
