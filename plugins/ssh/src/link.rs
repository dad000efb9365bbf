//! A connection that is up, as the rest of the program uses it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use ingot_sdk::{Error, ExitStatus, Result};
use parking_lot::{Mutex, MutexGuard};
use ssh2::Session;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use crate::auth::{Endpoint, Failure, Kind};
use crate::commands::{Opening, Purpose, SftpWork, WorkerCommand, WorkerCommands};
use crate::tunnel::Tunnel;
use crate::worker::{self, KeepAlive};

/// A session that is logged in. Dropping it ends it.
pub(crate) struct Link {
    endpoint: Endpoint,
    commands: WorkerCommands,
    lost: Arc<OnceLock<String>>,
    /// How many commands run over it.
    running: Arc<AtomicUsize>,
    /// Ends the local tunnels.
    tunnels: Mutex<Vec<AbortOnDropHandle<()>>>,
    /// The connection that this one goes through; it must not end earlier.
    _bastion: Option<Box<Link>>,
}

/// A command that runs on the machine. Dropping it closes its channel.
pub(crate) struct Process {
    /// Its standard input and output.
    pub data: UnixStream,
    /// Its standard error.
    pub errors: UnixStream,
    ended: oneshot::Receiver<ExitStatus>,
    commands: WorkerCommands,
    running: Arc<AtomicUsize>,
}

impl Process {
    /// How it ended.
    pub(crate) async fn status(&mut self) -> ExitStatus {
        (&mut self.ended).await.unwrap_or(ExitStatus::Disconnected)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.ended.close();
        self.commands.give(WorkerCommand::Look);
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connected pair of sockets: one to read and write here, one for the worker.
pub(crate) fn socket_pair() -> std::io::Result<(UnixStream, OwnedFd)> {
    let (near, far) = StdUnixStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    Ok((UnixStream::from_std(near)?, far.into()))
}

impl Link {
    /// Takes over a session that is logged in to `endpoint` over `socket`.
    pub(crate) fn new(
        session: Session,
        socket: Arc<OwnedFd>,
        endpoint: Endpoint,
        liveness: KeepAlive,
        bastion: Option<Box<Link>>,
    ) -> Result<Link> {
        let lost = Arc::new(OnceLock::new());
        let commands = worker::start(session, socket, liveness, Arc::clone(&lost))?;
        Ok(Link {
            endpoint,
            commands,
            lost,
            running: Arc::default(),
            tunnels: Mutex::default(),
            _bastion: bastion,
        })
    }

    /// Whether it has ended by itself.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// How many commands run over it.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Says that it has. The machine may be back soon.
    pub(crate) fn lost(&self) -> Error {
        let reason = self.lost.get().map_or("the connection ended", String::as_str);
        Error::new(format!("lost the connection to {}: {reason}", self.endpoint)).transient()
    }

    async fn open(
        &self,
        opening: Opening,
        opened: oneshot::Receiver<Result<(), String>>,
    ) -> Result<()> {
        self.commands.give(WorkerCommand::Open(opening));
        match opened.await {
            Ok(result) => result.map_err(Error::new),
            Err(_) => Err(self.lost()),
        }
    }

    /// Starts a command.
    ///
    /// # Errors
    /// The server refuses, or the connection is lost.
    pub(crate) async fn run(&self, line: &str, pty: bool) -> Result<Process> {
        let (data, far_data) = socket_pair()?;
        let (errors, far_errors) = socket_pair()?;
        let (reported, ended) = oneshot::channel();
        let (reply, opened) = oneshot::channel();
        let opening = Opening {
            purpose: Purpose::Command { line: line.to_owned(), pty },
            data: far_data,
            errors: Some(far_errors),
            ended: Some(reported),
            opened: reply,
        };
        self.running.fetch_add(1, Ordering::Relaxed);
        let (commands, running) = (self.commands.clone(), Arc::clone(&self.running));
        let process = Process { data, errors, ended, commands, running };
        let started = self.open(opening, opened).await;
        started.map_err(|error| {
            error.context(format_args!("starting a command on {}", self.endpoint))
        })?;
        Ok(process)
    }

    /// Connects `socket` to a port that the server can reach.
    ///
    /// # Errors
    /// The server cannot reach it, or will not.
    pub(crate) async fn reach(&self, host: &str, port: u16, socket: OwnedFd) -> Result<()> {
        let (reply, opened) = oneshot::channel();
        let purpose = Purpose::Connection { host: host.to_owned(), port };
        let opening = Opening { purpose, data: socket, errors: None, ended: None, opened: reply };
        self.open(opening, opened).await
    }

    /// Hands SFTP requests to the worker.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) fn sftp(&self, work: SftpWork) -> Result<()> {
        if self.commands.give(WorkerCommand::Sftp(work)) { Ok(()) } else { Err(self.lost()) }
    }

    /// Lets a port of the machine lead here.
    pub(crate) async fn listen_there(&self, tunnel: &Tunnel) -> Result<(), Failure> {
        let (reply, listening) = oneshot::channel();
        self.commands.give(WorkerCommand::Listen(tunnel.clone(), reply));
        let result = listening.await.unwrap_or_else(|_| Err(self.lost().to_string()));
        result.map_err(|error| {
            let message = format!(
                "{} refused to listen on port {} for the tunnel {tunnel} (ssh_remote_tunnels): {error}",
                self.endpoint, tunnel.listen
            );
            Failure::new(Kind::Login, message)
                .hint("the port may be taken there, or sshd's AllowTcpForwarding may forbid it")
        })
    }

    /// Lets a port here lead to the machine.
    pub(crate) async fn listen_here(self: &Arc<Self>, tunnel: &Tunnel) -> Result<(), Failure> {
        let port = tunnel.listen;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
            let message = format!(
                "cannot listen on localhost:{port} for the tunnel {tunnel} (ssh_local_tunnels): \
                 {error}"
            );
            Failure::new(Kind::Local, message).hint("choose a port that is free here")
        })?;
        self.serve(listener, tunnel);
        // Not an error: not every machine has IPv6, and who tries localhost by it tries IPv4 next.
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(listener) => self.serve(listener, tunnel),
            Err(error) => tracing::debug!(%tunnel, %error, "not listening on [::1]"),
        }
        Ok(())
    }

    /// Lets what connects to `listener` reach the tunnel's target.
    fn serve(self: &Arc<Self>, listener: TcpListener, tunnel: &Tunnel) {
        let (link, tunnel) = (Arc::downgrade(self), tunnel.clone());
        let serving = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let (link, tunnel) = (link.clone(), tunnel.clone());
                tokio::spawn(async move {
                    let Some(link) = link.upgrade() else { return };
                    let Ok(socket) = caller.into_std() else { return };
                    let reached = link.reach(&tunnel.host, tunnel.port, socket.into()).await;
                    if let Err(error) = reached {
                        tracing::warn!(%tunnel, %error, "cannot reach a tunnel's target");
                    }
                });
            }
        });
        self.local_tunnels().push(AbortOnDropHandle::new(serving));
    }

    fn local_tunnels(&self) -> MutexGuard<'_, Vec<AbortOnDropHandle<()>>> {
        self.tunnels.lock()
    }

    /// Gives up the ports of local tunnels, so that the next connection can have them.
    pub(crate) async fn close_tunnels(&self) {
        let tunnels = std::mem::take(&mut *self.local_tunnels());
        for tunnel in tunnels {
            tunnel.abort();
            let _ = tunnel.await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.commands.give(WorkerCommand::Stop);
    }
}
