//! The WinRM service of one machine: messages there and back.

use std::time::Duration;

use ingot_sdk::tls::Tls;
use ingot_sdk::{Result, http};
use parking_lot::Mutex;
use reqwest::header::CONTENT_TYPE;
use reqwest::{ClientBuilder, StatusCode};

use crate::answer;
use crate::failure::{Endpoint, Failure};
use crate::message::{CONTENT, Request};
use crate::ntlm::Account;
use crate::ntlm_session::{Lost, NtlmLogin, NtlmSession, offers};
use crate::reply::{Reply, body, network};

/// How long the service may think about a request, and how long it keeps the question for more
/// output open. Windows allows a minute by default.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the network may add to that.
const NETWORK_GRACE: Duration = Duration::from_secs(30);

/// How to get to a service and log in there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Access {
    /// Any certificate will do.
    pub(crate) any_certificate: bool,
    /// The environment's proxies are passed by.
    pub(crate) no_proxy: bool,
    /// By NTLM rather than by basic authentication.
    pub(crate) ntlm: bool,
}

impl Access {
    fn tls(self) -> Tls {
        Tls { insecure: self.any_certificate, ..Tls::default() }
    }

    fn adjust(self, builder: ClientBuilder) -> ClientBuilder {
        // A redirect would carry the password elsewhere.
        let builder = builder.redirect(reqwest::redirect::Policy::none());
        if self.no_proxy { builder.no_proxy() } else { builder }
    }
}

/// A machine's WinRM service.
pub(crate) struct Service {
    endpoint: Endpoint,
    url: String,
    access: Access,
    login: Login,
}

/// How requests log in.
enum Login {
    /// Each with the password.
    Basic { client: reqwest::Client, password: String },
    /// Each in one of the sessions that nobody uses just now. There are as many as there are
    /// requests at once: asking for a command's output takes as long as the command is silent.
    Ntlm { login: NtlmLogin, idle: Mutex<Vec<NtlmSession>> },
}

impl Service {
    /// The service at `endpoint`, of which nothing is asked yet.
    ///
    /// # Errors
    /// There can be no HTTP client.
    pub(crate) fn new(endpoint: Endpoint, password: String, access: Access) -> Result<Self> {
        let url = endpoint.url();
        let parsed = reqwest::Url::parse(&url).map_err(|error| {
            ingot_sdk::Error::new(format!("`{}` is not the name of a host: {error}", endpoint.host))
        })?;
        let login = match access.ntlm {
            true => Login::Ntlm {
                login: NtlmLogin {
                    url: url.clone(),
                    host: parsed.host_str().unwrap_or_default().to_owned(),
                    account: Account::new(&endpoint.user, password),
                    seals: !endpoint.tls,
                },
                idle: Mutex::default(),
            },
            false => {
                let client = http::client_with_tls(access.tls(), |b| access.adjust(b))?;
                Login::Basic { client, password }
            }
        };
        Ok(Service { endpoint, url, access, login })
    }

    /// The machine, as messages name it.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request and returns the response, which is not a fault.
    ///
    /// # Errors
    /// There was no response, or it is a fault.
    pub(crate) async fn ask(&self, request: Request<'_>) -> Result<String, Failure> {
        let message = request.envelope(&self.url, PATIENCE);
        let Reply { status, text } = match &self.login {
            Login::Basic { client, password } => {
                let request = client
                    .post(&self.url)
                    .basic_auth(&self.endpoint.user, Some(password))
                    .header(CONTENT_TYPE, CONTENT)
                    .timeout(PATIENCE + NETWORK_GRACE)
                    .body(message);
                let response = request.send().await.map_err(network)?;
                let status = response.status();
                if status == StatusCode::UNAUTHORIZED {
                    return Err(match offers(response.headers()) {
                        offers if offers.iter().any(|way| way.eq_ignore_ascii_case("Basic")) => {
                            Failure::Login
                        }
                        offers if offers.is_empty() => Failure::Login,
                        offers => Failure::NoBasic(offers),
                    });
                }
                let text = String::from_utf8_lossy(&body(response).await?).into_owned();
                Reply { status, text }
            }
            Login::Ntlm { login, idle } => self.ask_by_ntlm(login, idle, &message).await?,
        };
        if let Some(fault) = answer::fault(&text) {
            return Err(Failure::Fault(fault));
        }
        match status.is_success() {
            true => Ok(text),
            false => Err(Failure::NotWinrm(status.as_u16())),
        }
    }

    async fn ask_by_ntlm(
        &self,
        login: &NtlmLogin,
        idle: &Mutex<Vec<NtlmSession>>,
        message: &str,
    ) -> Result<Reply, Failure> {
        let limit = PATIENCE + NETWORK_GRACE;
        let lock = || idle.lock();
        // Sessions that are over, as after a reboot, are left one by one; a new one must do.
        loop {
            let known = lock().pop();
            let is_new = known.is_none();
            let mut session = match known {
                Some(session) => session,
                None => {
                    let access = self.access;
                    NtlmSession::open(login, NETWORK_GRACE, access.tls(), |b| access.adjust(b))
                        .await?
                }
            };
            match session.ask(&self.url, message, limit).await {
                Ok(reply) => {
                    lock().push(session);
                    return Ok(reply);
                }
                Err(Lost::Request(failure)) => return Err(failure),
                Err(Lost::Session(failure)) if is_new => return Err(failure),
                Err(Lost::Session(_)) => {}
            }
        }
    }
}
