//! WinRM over connections that log in by NTLM, with encrypted messages where TLS does not encrypt.
//!
//! NTLM logs in a connection, not a request: the three messages of a login and all that follows go
//! over the same one. So each [`NtlmSession`] has an HTTP client with a single connection, and is
//! over when that is closed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ingot_sdk::http;
use ingot_sdk::tls::Tls;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{ClientBuilder, StatusCode};
use tower_layer::Layer;
use tower_service::Service as TowerService;

use crate::failure::Failure;
use crate::message::CONTENT;
use crate::ntlm::{self, Account, Challenge, Sealing};
use crate::reply::{Reply, body, network};

/// How long a request waits for its connection to come back from the one before it. What has not
/// come back then is closed.
const HANDBACK: Duration = Duration::from_millis(500);
/// The boundary of encrypted messages. Windows expects these very words.
const BOUNDARY: &str = "Encrypted Boundary";
const SEALED: &str = "multipart/encrypted;protocol=\"application/HTTP-SPNEGO-session-encrypted\";\
                      boundary=\"Encrypted Boundary\"";

/// Where to log in, and who does.
pub(crate) struct NtlmLogin {
    /// The service's URL.
    pub(crate) url: String,
    /// The host in it, as the server knows itself.
    pub(crate) host: String,
    /// Who logs in.
    pub(crate) account: Account,
    /// Whether NTLM encrypts messages, because TLS does not.
    pub(crate) seals: bool,
}

/// A connection that is logged in.
pub(crate) struct NtlmSession {
    client: reqwest::Client,
    sealing: Option<Sealing>,
}

impl NtlmSession {
    /// Connects and logs in. `tls` and `adjust` make the HTTP client what the options want.
    ///
    /// # Errors
    /// No connection; the server does not offer NTLM; the account was turned down.
    pub(crate) async fn open(
        login: &NtlmLogin,
        limit: Duration,
        tls: Tls,
        adjust: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<NtlmSession, Failure> {
        let client = http::client_with_tls(tls, |builder| {
            adjust(builder)
                .http1_only()
                .pool_idle_timeout(None)
                .connector_layer(SingleConnection::default())
        });
        let client = client.map_err(|error| Failure::Request(error.to_string()))?;
        let say = async |scheme: &str, token: &[u8]| {
            let sent = client
                .post(&login.url)
                .header(AUTHORIZATION, format!("{scheme} {}", STANDARD.encode(token)))
                .header(CONTENT_TYPE, CONTENT)
                .timeout(limit)
                .body("")
                .send()
                .await;
            let response = sent.map_err(network)?;
            let (status, headers) = (response.status(), response.headers().clone());
            // What is not read to its end closes the connection.
            let read = body(response).await?;
            Ok::<_, Failure>((status, headers, read))
        };
        let first = ntlm::negotiate();
        let (status, headers, _) = say("Negotiate", &first).await?;
        if status != StatusCode::UNAUTHORIZED {
            return Err(Failure::NotWinrm(status.as_u16()));
        }
        let (scheme, headers) = match offers(&headers) {
            offers if offers.contains(&"Negotiate".to_owned()) => ("Negotiate", headers),
            offers if offers.contains(&"NTLM".to_owned()) => ("NTLM", say("NTLM", &first).await?.1),
            offers => return Err(Failure::NoNtlm(offers)),
        };
        // Without a challenge, a server that negotiates wants something else, as Kerberos.
        let token = token(&headers, scheme).ok_or_else(|| Failure::NoNtlm(offers(&headers)))?;
        let unreadable = |text: String| Failure::Unreadable(format!("logging in by NTLM: {text}"));
        let challenge = Challenge::read(token).map_err(unreadable)?;
        let (last, sealing) = ntlm::authenticate(&first, &challenge, &login.account, &login.host)
            .map_err(unreadable)?;
        let (status, ..) = say(scheme, &last).await?;
        if status == StatusCode::UNAUTHORIZED {
            return Err(Failure::Login);
        }
        Ok(NtlmSession { client, sealing: login.seals.then_some(sealing) })
    }

    /// Sends a message and returns what comes back.
    ///
    /// # Errors
    /// [`Lost::Session`] if the server did not take the message because it does not know this
    /// session any more.
    pub(crate) async fn ask(
        &mut self,
        url: &str,
        message: &str,
        limit: Duration,
    ) -> Result<Reply, Lost> {
        let (kind, bytes) = match &mut self.sealing {
            None => (CONTENT, message.as_bytes().to_vec()),
            Some(sealing) => (SEALED, envelope(sealing, message)),
        };
        let request = self.client.post(url).header(CONTENT_TYPE, kind).timeout(limit);
        let response = match request.body(bytes).send().await {
            Ok(response) => response,
            // A new connection would have been needed, so nothing was sent.
            Err(error) if error.is_connect() => {
                let text = "it closed the connection, over which the login was".to_owned();
                return Err(Lost::Session(Failure::Network(text)));
            }
            Err(error) => return Err(Lost::Request(network(error))),
        };
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return Err(Lost::Session(Failure::Login));
        }
        let is_sealed = response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes().to_ascii_lowercase().starts_with(b"multipart/encrypted")
        });
        let read = body(response).await.map_err(Lost::Request)?;
        let read = match &mut self.sealing {
            None => read,
            Some(sealing) if is_sealed => opened(sealing, &read).ok_or_else(|| {
                let text = "the encrypted response cannot be decrypted";
                Lost::Request(Failure::Unreadable(text.into()))
            })?,
            // Whoever is on the way can write answers that are not encrypted.
            Some(_) if status.is_success() => {
                let text = "the response is not encrypted, although the request was";
                return Err(Lost::Request(Failure::Unreadable(text.into())));
            }
            Some(_) => return Err(Lost::Request(Failure::NotWinrm(status.as_u16()))),
        };
        Ok(Reply { status, text: String::from_utf8_lossy(&read).into_owned() })
    }
}

/// Why a message was not answered.
pub(crate) enum Lost {
    /// The session is over, and the message was not taken: it can be sent in another one. The
    /// failure is what that is if the session was new.
    Session(Failure),
    /// Anything else.
    Request(Failure),
}

/// The ways to log in that a response offers.
pub(crate) fn offers(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    values.filter_map(|value| value.split_whitespace().next()).map(str::to_owned).collect()
}

/// The token that a response holds for a way to log in.
fn token(headers: &HeaderMap, scheme: &str) -> Option<Vec<u8>> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let tokens = values.filter_map(|value| {
        let (found, token) = value.split_once(' ')?;
        found.eq_ignore_ascii_case(scheme).then_some(token.trim())
    });
    tokens.filter_map(|token| STANDARD.decode(token).ok()).next()
}

/// An encrypted message, as MS-WSMV lays it out (2.2.9.1).
fn envelope(sealing: &mut Sealing, message: &str) -> Vec<u8> {
    let (signature, sealed) = sealing.seal(message.as_bytes());
    let head = format!(
        "--{BOUNDARY}\r\n\
         \tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n\
         \tOriginalContent: type={CONTENT};Length={}\r\n\
         --{BOUNDARY}\r\n\
         \tContent-Type: application/octet-stream\r\n",
        message.len()
    );
    // The signature's length, in four bytes.
    let length = 16_u32.to_le_bytes();
    let tail = format!("--{BOUNDARY}--\r\n");
    [head.as_bytes(), &length, &signature, &sealed, tail.as_bytes()].concat()
}

/// What an encrypted answer holds.
fn opened(sealing: &mut Sealing, answer: &[u8]) -> Option<Vec<u8>> {
    let find = |text: &[u8], from: &[u8]| from.windows(text.len()).position(|part| part == text);
    let kind = b"application/octet-stream\r\n";
    let payload = answer.get(find(kind, answer)? + kind.len()..)?;
    let end = format!("--{BOUNDARY}--");
    // The last one: sealed bytes may look like anything.
    let end = payload.windows(end.len()).rposition(|part| part == end.as_bytes())?;
    let (length, rest) = payload.get(..end)?.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (signature, sealed) = rest.split_at_checked(length)?;
    sealing.open(signature, sealed.to_vec())
}

/// Lets an HTTP client connect once.
#[derive(Clone, Default)]
struct SingleConnection {
    connected: Arc<AtomicBool>,
}

impl<S> Layer<S> for SingleConnection {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector { inner, connected: Arc::clone(&self.connected) }
    }
}

/// Makes the connection of [`SingleConnection`].
#[derive(Clone)]
struct Connector<S> {
    inner: S,
    connected: Arc<AtomicBool>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<S, R> TowerService<R> for Connector<S>
where
    S: TowerService<R, Error = BoxError>,
    S::Response: 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        if self.connected.swap(true, Ordering::Relaxed) {
            // A client connects anew and waits for its old connection at once, and takes what is
            // there first.
            return Box::pin(async {
                tokio::time::sleep(HANDBACK).await;
                Err("the connection that was logged in is closed".into())
            });
        }
        Box::pin(self.inner.call(request))
    }
}
