//! What goes wrong between here and a WinRM service, in words.

use std::fmt;

use ingot_sdk::Error;

use crate::answer::{Fault, Unreadable};

/// The machine, as messages name it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// Whether the way there is HTTPS.
    pub tls: bool,
    /// Whether NTLM logs in, rather than basic authentication.
    pub ntlm: bool,
}

impl Endpoint {
    /// The service's address.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let host = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
        format!("{scheme}://{host}:{}/wsman", self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection, or one that broke.
    Network(String),
    /// No answer in time.
    Silence,
    /// The server's certificate is not trusted.
    Certificate(String),
    /// User and password were turned down.
    Login,
    /// The service does not offer basic authentication, but these ways to log in.
    NoBasic(Vec<String>),
    /// The service does not offer NTLM, but these ways to log in.
    NoNtlm(Vec<String>),
    /// Something else than a WinRM service answered, with this HTTP status.
    NotWinrm(u16),
    /// The service refused what it was asked.
    Fault(Fault),
    /// The service's answer makes no sense.
    Unreadable(String),
    /// The request cannot be made at all.
    Request(String),
}

impl From<Unreadable> for Failure {
    fn from(Unreadable(text): Unreadable) -> Self {
        Failure::Unreadable(text)
    }
}

impl Failure {
    /// Whether the machine may merely not be up yet, or its service not be set up.
    pub(crate) fn may_pass(&self) -> bool {
        !matches!(self, Failure::Certificate(_) | Failure::Request(_))
    }

    /// Whether the connection, not the service, is the problem.
    pub(crate) fn is_network(&self) -> bool {
        matches!(self, Failure::Network(_) | Failure::Silence)
    }

    /// The error for the user.
    pub(crate) fn at(&self, endpoint: &Endpoint) -> Error {
        let error = self.described(endpoint);
        if self.may_pass() { error.transient() } else { error }
    }

    fn described(&self, endpoint: &Endpoint) -> Error {
        let Endpoint { user, tls, .. } = endpoint;
        match self {
            Failure::Network(text) => {
                Error::new(format!("cannot reach WinRM at {endpoint}: {text}")).hint(
                    "on the machine, WinRM must be set up (`winrm quickconfig`) and the port be \
                     open in its firewall and on the way there",
                )
            }
            Failure::Silence => Error::new(format!("no response from WinRM at {endpoint}")).hint(
                "the machine may hang or be rebooting; if it never answers, look at its firewall \
                 and the way there",
            ),
            Failure::Certificate(text) => Error::new(format!(
                "the certificate of WinRM at {endpoint} is not trusted: {text}"
            ))
            .hint(
                "set winrm_insecure = true to take any certificate, or let an authority that this \
                 system trusts sign it, for the name in winrm_host",
            ),
            Failure::Login if endpoint.ntlm => Error::new(format!(
                "WinRM at {endpoint} turned down the user `{user}`"
            ))
            .hint(
                "check winrm_username and winrm_password (a user of a domain is DOMAIN\\user), and \
                 that the user may log in over the network",
            ),
            Failure::Login => {
                Error::new(format!("WinRM at {endpoint} turned down the user `{user}`"))
                    .hint(format!("check winrm_username and winrm_password; {}", allow_basic(*tls)))
            }
            Failure::NoBasic(offers) => {
                let offers_ntlm = offers.iter().any(|way| is_ntlm(way));
                let hint = match offers_ntlm {
                    true => {
                        "set winrm_use_ntlm = true, or on the machine allow basic \
                             authentication: "
                    }
                    false => "",
                };
                Error::new(format!(
                    "WinRM at {endpoint} takes no basic authentication: it offers {}",
                    offers.join(", ")
                ))
                .hint(format!("{hint}{}", allow_basic(*tls)))
            }
            Failure::NoNtlm(offers) => Error::new(match offers.is_empty() {
                true => format!("WinRM at {endpoint} does not offer NTLM"),
                false => {
                    format!("WinRM at {endpoint} does not offer NTLM, but {}", offers.join(", "))
                }
            })
            .hint(
                "Kerberos is not supported; allow NTLM on the machine: \
                 `winrm set winrm/config/service/auth @{Negotiate=\"true\"}`, or leave out \
                 winrm_use_ntlm where basic authentication is allowed",
            ),
            Failure::NotWinrm(status) => Error::new(format!(
                "the server at {endpoint} is not a WinRM service: HTTP status {status} for /wsman"
            ))
            .hint("check winrm_host, winrm_port and winrm_use_ssl, and proxies (winrm_no_proxy)"),
            Failure::Fault(fault) => {
                let code = fault.code.map_or_else(String::new, |code| format!(" (code {code})"));
                let error =
                    Error::new(format!("WinRM at {endpoint} refused: {}{code}", fault.text));
                // ERROR_ACCESS_DENIED
                match fault.code == Some(5) || fault.subcode == "AccessDenied" {
                    true => error.hint(format!(
                        "`{user}` must be an administrator; for a local user other than \
                         Administrator, set LocalAccountTokenFilterPolicy to 1 on the machine"
                    )),
                    false => error,
                }
            }
            Failure::Unreadable(text) => Error::new(format!("WinRM at {endpoint}: {text}")),
            Failure::Request(text) => Error::new(text.clone()),
        }
    }
}

/// Whether HTTP's way to log in can be NTLM.
fn is_ntlm(way: &str) -> bool {
    way.eq_ignore_ascii_case("Negotiate") || way.eq_ignore_ascii_case("NTLM")
}

/// How a machine is set up for basic authentication.
fn allow_basic(tls: bool) -> String {
    let clear = match tls {
        true => "",
        false => {
            " and, because winrm_use_ssl is off, \
             `winrm set winrm/config/service @{AllowUnencrypted=\"true\"}`"
        }
    };
    format!(
        "basic authentication must be allowed on the machine: \
         `winrm set winrm/config/service/auth @{{Basic=\"true\"}}`{clear}"
    )
}
