//! From a socket to a session that is logged in. These calls block.

use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::Error;
use ssh2::{ErrorCode, HashType, KeyboardInteractivePrompt, MethodType, Prompt, Session};

use crate::algorithms::DEFAULT_CIPHERS;
use crate::key::{PrivateKey, rewrapped};

/// How long key exchange and login may take, as in Packer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);

// libssh2's error codes that tell causes apart (libssh2.h).

/// SOCKET_SEND, SOCKET_DISCONNECT, SOCKET_TIMEOUT, SOCKET_RECV, BAD_SOCKET.
const LOST: [i32; 5] = [-7, -13, -30, -43, -45];
const KEX_FAILURES: [i32; 2] = [-5, -8];
const BANNER_FAILURES: [i32; 2] = [-2, -3];
const TIMEOUT: i32 = -9;
const KEY_SIGN: [i32; 2] = [-10, -16];
/// PUBLICKEY_UNVERIFIED, and how its message begins where the server had accepted the key, and then
/// did not let us in with its signature. A key that it does not accept has another code.
const NOT_IN_WITH_KEY: (i32, &str) = (-19, "Invalid signature");

/// A server, as messages name it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// The user there.
    pub user: String,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it is to the user: empty for the machine itself.
    pub role: &'static str,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = !self.host.contains(':');
        let (open, close) = if bare { ("", "") } else { ("[", "]") };
        write!(f, "{}{}@{open}{}{close}:{}", self.role, self.user, self.host, self.port)
    }
}

/// What kind of failure it is, which decides whether trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The server is not there, or not yet.
    Network,
    /// The server turned us down.
    Login,
    /// Something on this side is wrong and stays so.
    Local,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Its kind.
    pub kind: Kind,
    /// What to tell the user.
    pub error: Error,
}

impl Failure {
    /// A failure described by `message`.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Failure { kind, error: Error::new(message) }
    }

    /// Adds advice.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Failure { error: self.error.hint(hint), ..self }
    }
}

/// What a session starts with.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// The password.
    pub password: Option<String>,
    /// The private keys, tried in order.
    pub keys: Vec<PrivateKey>,
    /// Whether the agent's keys are tried, first.
    pub agent: bool,
    /// The ciphers to offer; empty for the default.
    pub ciphers: Vec<String>,
    /// The key exchange methods to offer; empty for libssh2's.
    pub key_exchanges: Vec<String>,
}

/// Opens a session over `socket` and logs in.
pub(crate) fn log_in(
    socket: Arc<OwnedFd>,
    endpoint: &Endpoint,
    credentials: &Credentials,
) -> Result<Session, Failure> {
    let local = |error: ssh2::Error| Failure::new(Kind::Local, error.message().to_owned());
    let mut session = Session::new().map_err(local)?;
    session.set_timeout(u32::try_from(HANDSHAKE_TIMEOUT.as_millis()).unwrap_or(u32::MAX));
    let ciphers = match credentials.ciphers.is_empty() {
        true => DEFAULT_CIPHERS.to_owned(),
        false => credentials.ciphers.join(","),
    };
    session.method_pref(MethodType::CryptCs, &ciphers).map_err(local)?;
    session.method_pref(MethodType::CryptSc, &ciphers).map_err(local)?;
    if !credentials.key_exchanges.is_empty() {
        let kex = credentials.key_exchanges.join(",");
        session.method_pref(MethodType::Kex, &kex).map_err(local)?;
    }
    session.set_tcp_stream(Socket(socket));
    session.handshake().map_err(|error| handshake_failure(&error, endpoint))?;
    log_host_key(&session, endpoint);
    authenticate(&session, endpoint, credentials)?;
    Ok(session)
}

/// The socket a session uses; others hold it too, to watch it and to shut it down.
struct Socket(Arc<OwnedFd>);

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

fn log_host_key(session: &Session, endpoint: &Endpoint) {
    let kind = session.host_key().map(|(_, kind)| format!("{kind:?}")).unwrap_or_default();
    let hash = session.host_key_hash(HashType::Sha256).unwrap_or_default();
    let fingerprint = openssl::base64::encode_block(hash);
    tracing::info!(
        server = %endpoint, kind, fingerprint = format!("SHA256:{}", fingerprint.trim_end_matches('=')),
        kex = session.methods(MethodType::Kex), cipher = session.methods(MethodType::CryptCs),
        "host key (not checked, as the machine is new)"
    );
}

fn session_code(error: &ssh2::Error) -> i32 {
    match error.code() {
        // libssh2 gives an answer that does not come the code of a refusal.
        ErrorCode::Session(_) if error.message().starts_with("Waiting for") => TIMEOUT,
        ErrorCode::Session(code) => code,
        ErrorCode::SFTP(_) => 0,
    }
}

fn handshake_failure(error: &ssh2::Error, endpoint: &Endpoint) -> Failure {
    let code = session_code(error);
    let failed = |text: String| Failure::new(Kind::Network, text);
    if code == TIMEOUT {
        let seconds = HANDSHAKE_TIMEOUT.as_secs();
        return failed(format!("{endpoint} takes connections, but did not respond in {seconds} s"))
            .hint("check that it is an SSH server");
    }
    if KEX_FAILURES.contains(&code) {
        return failed(format!(
            "{endpoint} and we have no algorithms in common: {}",
            error.message()
        ))
        .hint("see ssh_ciphers and ssh_key_exchange_algorithms, and the server's log");
    }
    if BANNER_FAILURES.contains(&code) || error.message().contains("banner") {
        return failed(format!("{endpoint} closed the connection, or is not an SSH server"))
            .hint("check the port, and the server's log (MaxStartups, PerSourcePenalties, …)");
    }
    failed(format!("the SSH handshake with {endpoint} failed: {}", error.message()))
}

/// Answers every question with the password.
struct PasswordAnswers<'a>(&'a str);

impl KeyboardInteractivePrompt for PasswordAnswers<'_> {
    fn prompt(&mut self, _: &str, _: &str, prompts: &[Prompt<'_>]) -> Vec<String> {
        prompts.iter().map(|_| self.0.to_owned()).collect()
    }
}

/// The most methods of logging in that a server is taken to want one after the other. There are three
/// that we have.
const MOST_METHODS: usize = 3;

/// The method of keys, the agent's too.
const KEYS: &str = "publickey";
/// The methods of a password.
const PASSWORDS: [&str; 2] = ["password", "keyboard-interactive"];

/// Whether a server's list of methods has `method`.
fn offers(list: &str, method: &str) -> bool {
    list.split(',').any(|offered| offered == method)
}

impl Credentials {
    /// Whether there is something to log in with by a method that `list` does not have.
    fn has_more_than(&self, list: &str) -> bool {
        let keys = self.agent || !self.keys.is_empty();
        let password = self.password.is_some();
        (keys && !offers(list, KEYS))
            || (password && PASSWORDS.iter().all(|method| !offers(list, method)))
    }
}

/// What came of trying the methods of a list.
enum Outcome {
    /// We are logged in.
    LoggedIn,
    /// The server has taken a key, and now wants one of these methods, which are not keys.
    Next(String),
    /// It has refused all.
    Refused,
}

/// Tries, in Packer's order: the agent's keys, the private keys, the password.
fn authenticate(
    session: &Session,
    endpoint: &Endpoint,
    credentials: &Credentials,
) -> Result<(), Failure> {
    let user = endpoint.user.as_str();
    let mut attempts = Attempts { endpoint, tried: Vec::new(), accepted: false };
    let mut offered = String::new();
    let mut next = None;
    for _ in 0..MOST_METHODS {
        let list = match next.take() {
            Some(list) => list,
            None => {
                // The list of methods is asked for with a login that needs none, and may succeed.
                let list = session.auth_methods(user);
                if session.authenticated() {
                    return Ok(());
                }
                list.map_err(|error| attempts.broken(&error))?.to_owned()
            }
        };
        if list == offered {
            break;
        }
        offered = list;
        match try_offered(session, user, &offered, credentials, &mut attempts)? {
            Outcome::LoggedIn => return Ok(()),
            Outcome::Next(list) => next = Some(list),
            // A server that wants a key and then a password lists the password only once it has
            // taken the key. Asking costs one of the attempts that it allows.
            Outcome::Refused if credentials.has_more_than(&offered) => {}
            Outcome::Refused => break,
        }
    }
    Err(attempts.refused(&offered))
}

/// Tries what can be tried by the methods of the list `offered`.
fn try_offered(
    session: &Session,
    user: &str,
    offered: &str,
    credentials: &Credentials,
    attempts: &mut Attempts<'_>,
) -> Result<Outcome, Failure> {
    if offers(offered, KEYS) {
        if credentials.agent {
            match try_agent(session, user, attempts)? {
                Outcome::Refused => {}
                outcome => return Ok(outcome),
            }
        }
        for key in &credentials.keys {
            let public = key.certificate.as_deref().unwrap_or(&key.public);
            let private = rewrapped(&key.text);
            let tried = session.userauth_pubkey_memory(user, Some(public), &private, None);
            match attempts.note_key(tried, &key.name, session)? {
                Outcome::Refused => {}
                outcome => return Ok(outcome),
            }
        }
    }
    let Some(password) = &credentials.password else { return Ok(Outcome::Refused) };
    if offers(offered, PASSWORDS[0]) {
        let tried = session.userauth_password(user, password);
        if attempts.note(tried, "the password")? {
            return Ok(Outcome::LoggedIn);
        }
    }
    if offers(offered, PASSWORDS[1]) {
        let mut answers = PasswordAnswers(password);
        let tried = session.userauth_keyboard_interactive(user, &mut answers);
        if attempts.note(tried, "the password as an answer")? {
            return Ok(Outcome::LoggedIn);
        }
    }
    Ok(Outcome::Refused)
}

fn try_agent(
    session: &Session,
    user: &str,
    attempts: &mut Attempts<'_>,
) -> Result<Outcome, Failure> {
    let local = |error: ssh2::Error| {
        Failure::new(Kind::Local, format!("cannot ask the SSH agent: {}", error.message()))
            .hint("ssh_agent_auth needs a running agent; SSH_AUTH_SOCK must name its socket")
    };
    let mut agent = session.agent().map_err(local)?;
    agent.connect().map_err(local)?;
    agent.list_identities().map_err(local)?;
    let identities = agent.identities().map_err(local)?;
    if identities.is_empty() {
        return Err(Failure::new(Kind::Local, "the SSH agent holds no keys")
            .hint("add one with ssh-add FILE"));
    }
    for identity in &identities {
        let tried = agent.userauth(user, identity);
        let name = format!("the agent's key {:?}", identity.comment());
        match attempts.note_key(tried, &name, session)? {
            Outcome::Refused => {}
            outcome => return Ok(outcome),
        }
    }
    Ok(Outcome::Refused)
}

/// What was tried so far.
struct Attempts<'a> {
    endpoint: &'a Endpoint,
    tried: Vec<String>,
    /// Whether the server accepted the last key, though it did not let us in.
    accepted: bool,
}

impl Attempts<'_> {
    /// Whether an attempt with `what` succeeded. A failure that ends the connection is an error.
    fn note(&mut self, tried: Result<(), ssh2::Error>, what: &str) -> Result<bool, Failure> {
        let Err(error) = tried else { return Ok(true) };
        tracing::debug!(server = %self.endpoint, what, %error, "login refused");
        self.tried.push(what.to_owned());
        let code = session_code(&error);
        let (not_in, begin) = NOT_IN_WITH_KEY;
        self.accepted = code == not_in && error.message().starts_with(begin);
        if LOST.contains(&code) || code == TIMEOUT {
            return Err(self.broken(&error));
        }
        if KEY_SIGN.contains(&code) {
            let message = format!("cannot log in with {what}: {}", error.message());
            return Err(Failure::new(Kind::Local, message));
        }
        Ok(false)
    }

    /// [`Attempts::note`] for a key. Where the server has taken it and wants something else besides,
    /// each other key would cost one of the attempts that it allows.
    fn note_key(
        &mut self,
        tried: Result<(), ssh2::Error>,
        what: &str,
        session: &Session,
    ) -> Result<Outcome, Failure> {
        if self.note(tried, what)? {
            return Ok(Outcome::LoggedIn);
        }
        if !self.accepted {
            return Ok(Outcome::Refused);
        }
        // An error shows again where the next thing is tried.
        let list = session.auth_methods(&self.endpoint.user).unwrap_or(KEYS);
        Ok(match offers(list, KEYS) {
            true => Outcome::Refused,
            false => Outcome::Next(list.to_owned()),
        })
    }

    fn broken(&self, error: &ssh2::Error) -> Failure {
        let endpoint = self.endpoint;
        match self.tried.len() {
            0 => Failure::new(
                Kind::Network,
                format!("{endpoint} closed the connection: {}", error.message()),
            ),
            count => Failure::new(
                Kind::Login,
                format!(
                    "{endpoint} closed the connection after {count} attempts to log in, with {}",
                    self.tried.join(", ")
                ),
            )
            .hint("the server takes a few attempts only; leave only the right key in the agent"),
        }
    }

    fn refused(&self, offered: &str) -> Failure {
        let endpoint = self.endpoint;
        let options = match endpoint.role.is_empty() {
            true => "ssh_username and ssh_password, ssh_private_key_file or ssh_agent_auth",
            false => {
                "ssh_bastion_username and ssh_bastion_password, ssh_bastion_private_key_file or \
                 ssh_bastion_agent_auth"
            }
        };
        let tried = match self.tried.is_empty() {
            true => "we have nothing it takes".to_owned(),
            false => format!("tried {}", self.tried.join(", ")),
        };
        let message = format!("{endpoint} refused the login: {tried}; it takes {offered}");
        Failure::new(Kind::Login, message).hint(format!("check {options}"))
    }
}
