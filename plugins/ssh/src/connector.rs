//! Connections to one machine, and waiting for them.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::retry::Retry;
use ingot_sdk::{Error, GoDuration, Result, RunContext};
use parking_lot::Mutex;
use rustix::net::Shutdown;
use tokio_util::sync::CancellationToken;

use crate::auth::{self, Credentials, Endpoint, Failure, Kind};
use crate::dial;
use crate::key_pair::KeyPair;
use crate::link::Link;
use crate::settings::{Login, Route, SshSettings};
use crate::worker::KeepAlive;

/// The pause between two attempts to log in. Packer takes as long, so that a machine whose user
/// or key is set up late gets as much time for as many attempts.
const LOGIN_PAUSE: Duration = Duration::from_secs(7);

/// The longest pause between two attempts to reach a machine.
const DIAL_PAUSE: Duration = Duration::from_millis(500);

/// The machine to connect to.
#[derive(Clone)]
pub struct Target {
    /// Its name or address.
    pub host: String,
    /// Its port, where it is not the one in the options.
    pub port: Option<u16>,
    /// The build's key pair, if it has one.
    pub key_pair: Option<KeyPair>,
}

/// Makes connections to one machine.
pub(crate) struct Connector {
    settings: SshSettings,
    endpoint: Endpoint,
    credentials: Credentials,
    /// The bastion and what it takes, if there is one.
    bastion: Option<(Endpoint, Credentials)>,
}

impl Connector {
    /// Makes connections to `target`; nothing is asked of it yet.
    ///
    /// # Errors
    /// A key cannot be read.
    pub(crate) fn new(settings: &SshSettings, target: &Target) -> Result<Connector> {
        let credentials = |login: &Login| -> Result<Credentials> {
            let mut keys = Vec::new();
            if let Some(file) = &login.key {
                keys.push(file.read().map_err(Error::from)?);
            }
            Ok(Credentials {
                password: login.password.clone(),
                keys,
                agent: login.agent,
                ciphers: settings.ciphers.clone(),
                key_exchanges: settings.key_exchanges.clone(),
            })
        };
        let mut own = credentials(&settings.login)?;
        if let Some(pair) = &target.key_pair
            && !own.keys.iter().any(|key| key.text == pair.private)
        {
            own.keys.push(pair.key());
        }
        let bastion = match &settings.route {
            Route::Bastion(bastion) => {
                let endpoint = Endpoint {
                    user: bastion.login.user.clone(),
                    host: bastion.host.clone(),
                    port: bastion.port,
                    role: "the bastion ",
                };
                Some((endpoint, credentials(&bastion.login)?))
            }
            Route::Direct | Route::Proxy(_) => None,
        };
        let endpoint = Endpoint {
            user: settings.login.user.clone(),
            host: target.host.clone(),
            port: target.port.unwrap_or(settings.port),
            role: "",
        };
        Ok(Connector { settings: settings.clone(), endpoint, credentials: own, bastion })
    }

    /// What it logs in with, on all machines on the way.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &Credentials> {
        let bastion = self.bastion.as_ref().map(|(_, credentials)| credentials);
        [Some(&self.credentials), bastion].into_iter().flatten()
    }

    /// The settings it connects with.
    pub(crate) fn settings(&self) -> &SshSettings {
        &self.settings
    }

    /// The machine, as messages name it.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Tries to connect until it works or the limits of the settings are reached, and shows how that goes.
    ///
    /// # Errors
    /// What kept it from connecting; [`Error::Cancelled`] when the build is cancelled.
    pub(crate) async fn wait_aloud(&self, ctx: &RunContext) -> Result<Arc<Link>> {
        ctx.ui.say("Waiting for SSH to become available...");
        let reported = Mutex::new(String::new());
        let refused = |error: &Error| {
            let text = error.to_string();
            let mut reported = reported.lock();
            if *reported != text {
                ctx.ui.message(format!("{text}; trying again"));
                *reported = text;
            }
        };
        let link = self.wait(&ctx.cancel, self.settings.timeout, &refused).await?;
        ctx.ui.say("Connected to SSH!");
        Ok(link)
    }

    /// Tries to connect until it works, or `limit` or that of the attempts is reached. `refused` gets
    /// the logins that the server turned down and that will be tried again.
    pub(crate) async fn wait(
        &self,
        cancel: &CancellationToken,
        limit: Option<Duration>,
        refused: &(dyn Fn(&Error) + Send + Sync),
    ) -> Result<Arc<Link>> {
        let settings = &self.settings;
        let last = Mutex::new(Last::default());
        let lock = || last.lock();
        let retry = Retry {
            initial: Duration::from_millis(250),
            max: DIAL_PAUSE,
            tries: None,
            timeout: limit,
        };
        let attempts = settings.handshake_attempts;
        let connecting = retry.run(
            cancel,
            |error| {
                let last = lock();
                let allowed = attempts.is_none_or(|limit| last.failed_logins < limit);
                match last.kind {
                    Some(Kind::Login) if allowed => {
                        refused(error);
                        true
                    }
                    kind => kind == Some(Kind::Network),
                }
            },
            |_| async {
                let pause = lock().kind == Some(Kind::Login);
                if pause {
                    tokio::time::sleep(LOGIN_PAUSE).await;
                }
                self.open().await.map_err(|failure| {
                    tracing::debug!(error = %failure.error, "no connection yet");
                    lock().note(&failure);
                    failure.error
                })
            },
        );
        // An attempt does not outlast the limit.
        let longest = limit.unwrap_or(Duration::MAX);
        let result = tokio::time::timeout(longest, connecting).await;
        let last = std::mem::take(&mut *lock());
        let error = match result {
            Ok(Ok(link)) => return Ok(link),
            Ok(Err(error)) => error,
            Err(_) => {
                let message =
                    last.message.unwrap_or_else(|| format!("no response from {}", self.endpoint));
                last.hint.into_iter().fold(Error::new(message), Error::hint)
            }
        };
        Err(match (last.kind, limit) {
            (Some(Kind::Network) | None, Some(limit)) => {
                error.context(format_args!("no SSH connection within {}", GoDuration(limit)))
            }
            (Some(Kind::Login), _) if last.failed_logins > 1 => error
                .context(format_args!("gave up after {} attempts to log in", last.failed_logins)),
            _ => error,
        })
    }

    /// Connects once.
    pub(crate) async fn open(&self) -> Result<Arc<Link>, Failure> {
        let endpoint = &self.endpoint;
        let (socket, bastion) = match (&self.settings.route, &self.bastion) {
            (Route::Bastion(_), Some((there, credentials))) => {
                let socket = dial::direct(there).await?;
                let link = self.session(socket, there, credentials, None).await?;
                (self.through(&link, there).await?, Some(Box::new(link)))
            }
            (Route::Proxy(proxy), _) => (dial::through_proxy(proxy, endpoint).await?, None),
            _ => (dial::direct(endpoint).await?, None),
        };
        let link = Arc::new(self.session(socket, endpoint, &self.credentials, bastion).await?);
        for tunnel in &self.settings.remote_tunnels {
            link.listen_there(tunnel).await?;
        }
        for tunnel in &self.settings.local_tunnels {
            link.listen_here(tunnel).await?;
        }
        Ok(link)
    }

    /// A socket that leads to the machine through the bastion `link`.
    async fn through(&self, link: &Link, there: &Endpoint) -> Result<OwnedFd, Failure> {
        let network = |error: Error| Failure { kind: Kind::Network, error };
        let pair = std::os::unix::net::UnixStream::pair();
        let (near, far) = pair.map_err(|error| network(error.into()))?;
        far.set_nonblocking(true).map_err(|error| network(error.into()))?;
        let (host, port) = (self.endpoint.host.as_str(), self.endpoint.port);
        link.reach(host, port, far.into()).await.map_err(|error| {
            let message = format!("{there} cannot connect to {host}:{port}: {error}");
            Failure::new(Kind::Network, message)
                .hint("check the address as the bastion sees it, and its AllowTcpForwarding")
        })?;
        Ok(near.into())
    }

    async fn session(
        &self,
        socket: OwnedFd,
        endpoint: &Endpoint,
        credentials: &Credentials,
        bastion: Option<Box<Link>>,
    ) -> Result<Link, Failure> {
        let socket = Arc::new(socket);
        // Should the build be cancelled meanwhile, this unblocks libssh2.
        let guard = ShutDown(Some(Arc::clone(&socket)));
        let work = {
            let (socket, endpoint, credentials) =
                (socket.clone(), endpoint.clone(), credentials.clone());
            tokio::task::spawn_blocking(move || auth::log_in(socket, &endpoint, &credentials))
        };
        let session =
            work.await.map_err(|error| Failure::new(Kind::Local, error.to_string()))??;
        guard.disarm();
        let liveness =
            KeepAlive { keep_alive: self.settings.keep_alive, silence: self.settings.silence };
        Link::new(session, socket, endpoint.clone(), liveness, bastion)
            .map_err(|error| Failure { kind: Kind::Local, error })
    }
}

/// How the last attempt went.
#[derive(Default)]
struct Last {
    kind: Option<Kind>,
    /// How often the login was refused.
    failed_logins: u32,
    message: Option<String>,
    hint: Option<String>,
}

impl Last {
    fn note(&mut self, failure: &Failure) {
        self.kind = Some(failure.kind);
        self.failed_logins += u32::from(failure.kind == Kind::Login);
        self.message = Some(failure.error.to_string());
        self.hint = failure.error.advice().map(str::to_owned);
    }
}

/// Shuts a socket down when dropped.
struct ShutDown(Option<Arc<OwnedFd>>);

impl ShutDown {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for ShutDown {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            // Fails only if it is closed already.
            let _ = rustix::net::shutdown(&**socket, Shutdown::Both);
        }
    }
}
