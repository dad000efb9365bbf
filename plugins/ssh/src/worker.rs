//! The thread that owns a session.
//!
//! It waits, with one `poll`, for the server, for the sockets that channels are joined to, and
//! for orders; then it moves what can be moved. libssh2 is used without blocking, with one
//! exception: short SFTP requests, see [`WorkerCommand::Sftp`].

use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ssh2::{BlockDirections, Channel, Listener, Session, Sftp};
use tokio::runtime::Handle;

use crate::channel_pump::{ChannelPump, Progress, again, would_block};
use crate::commands::{Opening, Purpose, SftpWork, WorkerCommand, WorkerCommands};
use crate::dial;
use crate::sftp_copy::Copy;
use crate::tunnel::Tunnel;

/// How long a short request may take before the session counts as lost.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What is watched for to notice that the server has closed the connection.
#[cfg(target_os = "linux")]
const CLOSED: PollFlags = PollFlags::RDHUP;
/// Elsewhere it is noticed by the next use only.
#[cfg(not(target_os = "linux"))]
const CLOSED: PollFlags = PollFlags::empty();

/// How a session is looked after.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepAlive {
    /// How often the server is asked for a sign of life.
    pub keep_alive: Option<Duration>,
    /// How long it may be silent.
    pub silence: Option<Duration>,
}

/// Starts a worker for `session`, whose socket is `socket`. `lost` is filled in when the session
/// ends by itself.
///
/// # Errors
/// The system has no more threads or sockets.
pub(crate) fn start(
    session: Session,
    socket: Arc<OwnedFd>,
    liveness: KeepAlive,
    lost: Arc<OnceLock<String>>,
) -> std::io::Result<WorkerCommands> {
    let (notifier, notify) = UnixStream::pair()?;
    notifier.set_nonblocking(true)?;
    notify.set_nonblocking(true)?;
    let (queue, commands) = std::sync::mpsc::channel();
    let handle = WorkerCommands::new(queue, notify);
    session.set_blocking(false);
    session.set_timeout(u32::try_from(REQUEST_TIMEOUT.as_millis()).unwrap_or(u32::MAX));
    if let Some(interval) = liveness.keep_alive {
        let seconds = u32::try_from(interval.as_secs().max(1)).unwrap_or(u32::MAX);
        session.set_keepalive(true, seconds);
    }
    let worker = Worker {
        session,
        socket,
        liveness,
        commands,
        own_commands: handle.clone(),
        runtime: Handle::try_current().map_err(std::io::Error::other)?,
        notifier,
        opening: VecDeque::new(),
        begun: None,
        sftp_waiting: VecDeque::new(),
        sftp: None,
        pumps: Vec::new(),
        copies: Vec::new(),
        listeners: Vec::new(),
        callers: HashMap::new(),
        next_caller: 0,
        heard: Instant::now(),
        keep_alive_due: Instant::now() + liveness.keep_alive.unwrap_or_default(),
        stopping: false,
    };
    std::thread::Builder::new().name("ssh".into()).spawn(move || worker.run(&lost))?;
    Ok(handle)
}

struct Worker {
    session: Session,
    socket: Arc<OwnedFd>,
    liveness: KeepAlive,
    commands: Receiver<WorkerCommand>,
    own_commands: WorkerCommands,
    /// Where the targets of remote tunnels are connected to.
    runtime: Handle,
    notifier: UnixStream,
    /// Channels to open. libssh2 can open one at a time.
    opening: VecDeque<Opening>,
    /// The channel of the first of them, once it is there and has to be set up.
    begun: Option<(Channel, bool)>,
    sftp_waiting: VecDeque<SftpWork>,
    sftp: Option<Sftp>,
    pumps: Vec<ChannelPump>,
    copies: Vec<Copy>,
    listeners: Vec<(Listener, Tunnel)>,
    /// Channels that came in through remote tunnels and wait for their targets.
    callers: HashMap<u64, Channel>,
    next_caller: u64,
    heard: Instant,
    keep_alive_due: Instant,
    stopping: bool,
}

impl Worker {
    fn run(mut self, lost: &OnceLock<String>) {
        let reason = loop {
            match self.turn() {
                Ok(()) if self.stopping => break None,
                Ok(()) => {}
                Err(reason) => break Some(reason),
            }
        };
        if let Some(reason) = &reason {
            tracing::debug!(reason, "an SSH session ended");
        }
        let _ = lost.set(reason.clone().unwrap_or_else(|| "it was closed".into()));
        for channel_pump in self.pumps.drain(..) {
            channel_pump.lose();
        }
        if reason.is_none() {
            self.session.set_blocking(true);
            self.session.set_timeout(1000);
            let _ = self.session.disconnect(None, "done", None);
        }
        // Unblocks whatever waits at the other end of the socket.
        let _ = rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Both);
    }

    /// One round: takes orders, moves what can be moved, waits.
    fn turn(&mut self) -> Result<(), String> {
        self.take_commands();
        if self.stopping {
            return Ok(());
        }
        let mut moved = self.open_next()?;
        moved |= self.step_pumps()?;
        moved |= self.step_copies()?;
        moved |= self.accept_callers()?;
        if !self.sending() {
            // Starting SFTP opens a channel, and libssh2 opens one at a time.
            if self.opening.is_empty() {
                moved |= self.do_sftp()?;
            }
            self.keep_alive()?;
        }
        if moved { Ok(()) } else { self.wait() }
    }

    /// Whether a packet is stuck half-way into the socket. libssh2 then takes no other call than
    /// the one that was interrupted.
    fn sending(&self) -> bool {
        matches!(self.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both)
    }

    fn take_commands(&mut self) {
        let mut notifications = [0; 64];
        let _ = self.notifier.read(&mut notifications);
        loop {
            match self.commands.try_recv() {
                Ok(WorkerCommand::Open(opening)) => self.opening.push_back(opening),
                Ok(WorkerCommand::Sftp(work)) => self.sftp_waiting.push_back(work),
                Ok(WorkerCommand::Listen(tunnel, listening)) => {
                    let _ = listening.send(self.listen(tunnel));
                }
                Ok(WorkerCommand::Join(caller, target)) => self.join(caller, target),
                Ok(WorkerCommand::Look) => {}
                Ok(WorkerCommand::Stop) | Err(TryRecvError::Disconnected) => {
                    self.stopping = true;
                    return;
                }
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    fn open_next(&mut self) -> Result<bool, String> {
        let Some(opening) = self.opening.front() else { return Ok(false) };
        let result = match advance(&self.session, &opening.purpose, &mut self.begun) {
            Ok(None) => return Ok(false),
            Ok(Some(channel)) => Ok(channel),
            Err(error) => {
                self.begun = None;
                self.check_session()?;
                Err(error)
            }
        };
        let Some(opening) = self.opening.pop_front() else { return Ok(false) };
        match result {
            Ok(channel) => {
                let Opening { data, errors, ended, opened, .. } = opening;
                // Nobody waits any more: the joint finds out and closes the channel.
                let _ = opened.send(Ok(()));
                self.pumps.push(ChannelPump::new(channel, data, errors, ended));
            }
            Err(error) => {
                let _ = opening.opened.send(Err(error.to_string()));
            }
        }
        Ok(true)
    }

    fn step_pumps(&mut self) -> Result<bool, String> {
        let mut moved = false;
        let mut index = 0;
        while index < self.pumps.len() {
            let sending = self.sending();
            match self.pumps[index].step(sending) {
                Ok(Progress::Moved) => moved = true,
                Ok(Progress::Waiting) => {}
                Ok(Progress::Done) => {
                    self.pumps.swap_remove(index);
                    moved = true;
                    continue;
                }
                Err(error) => {
                    self.check_session()?;
                    tracing::debug!(%error, "an SSH channel broke");
                    self.pumps.swap_remove(index).lose();
                    moved = true;
                    continue;
                }
            }
            index += 1;
        }
        Ok(moved)
    }

    fn step_copies(&mut self) -> Result<bool, String> {
        let mut moved = false;
        let mut index = 0;
        while index < self.copies.len() {
            let sending = self.sending();
            match self.copies[index].step(sending) {
                Progress::Moved => moved = true,
                Progress::Waiting => {}
                Progress::Done => {
                    // Should the session be lost, that is what is to be said.
                    self.check_session()?;
                    self.copies.swap_remove(index).finish();
                    moved = true;
                    continue;
                }
            }
            index += 1;
        }
        Ok(moved)
    }

    /// Short requests, one batch after the other. They wait for the server.
    fn do_sftp(&mut self) -> Result<bool, String> {
        let Some(work) = self.sftp_waiting.pop_front() else { return Ok(false) };
        self.session.set_blocking(true);
        if self.sftp.is_none() {
            match answers_sftp(&self.session).and_then(|()| self.session.sftp()) {
                Ok(sftp) => self.sftp = Some(sftp),
                Err(error) => {
                    self.session.set_blocking(false);
                    let _ = work(Err(error));
                    self.check_session()?;
                    return Ok(true);
                }
            }
        }
        if let Some(sftp) = &self.sftp {
            let copy = work(Ok(sftp));
            self.copies.extend(copy);
        }
        self.session.set_blocking(false);
        self.check_session()?;
        Ok(true)
    }

    fn listen(&mut self, tunnel: Tunnel) -> Result<(), String> {
        self.session.set_blocking(true);
        let listener = self.session.channel_forward_listen(tunnel.listen, Some("localhost"), None);
        self.session.set_blocking(false);
        // libssh2 would take the answer to a keep-alive for the answer to the next request.
        self.keep_alive_due = Instant::now() + self.liveness.keep_alive.unwrap_or_default();
        let (listener, _) = listener.map_err(|error| error.message().to_owned())?;
        self.listeners.push((listener, tunnel));
        Ok(())
    }

    fn accept_callers(&mut self) -> Result<bool, String> {
        let mut moved = false;
        for (listener, tunnel) in &mut self.listeners {
            let accepted = would_block(listener.accept().map_err(std::io::Error::from));
            let Ok(Some(channel)) = accepted else { continue };
            moved = true;
            let id = self.next_caller;
            self.next_caller += 1;
            self.callers.insert(id, channel);
            let (commands, target) = (self.own_commands.clone(), tunnel.clone());
            self.runtime.spawn(async move {
                let stream = dial::tunnel_target(&target.host, target.port).await;
                if let Err(error) = &stream {
                    tracing::warn!(tunnel = %target, %error, "cannot reach a tunnel's target");
                }
                commands.give(WorkerCommand::Join(id, stream));
            });
        }
        if moved { Ok(true) } else { self.check_session().map(|()| false) }
    }

    fn join(&mut self, caller: u64, target: std::io::Result<TcpStream>) {
        let Some(channel) = self.callers.remove(&caller) else { return };
        let ready = target.and_then(|stream| stream.set_nonblocking(true).map(|()| stream));
        // Without a target, a socket whose other end is closed ends the channel in good order.
        let data = match ready {
            Ok(stream) => OwnedFd::from(stream),
            Err(_) => match UnixStream::pair() {
                Ok((near, _)) => OwnedFd::from(near),
                Err(_) => return,
            },
        };
        self.pumps.push(ChannelPump::new(channel, data, None, None));
    }

    fn keep_alive(&mut self) -> Result<(), String> {
        let Some(interval) = self.liveness.keep_alive else { return Ok(()) };
        let now = Instant::now();
        if now < self.keep_alive_due {
            return Ok(());
        }
        self.keep_alive_due = now + interval;
        // Only where it fits into the socket in one go: libssh2 does not come back to it.
        let mut fds = [PollFd::new(&*self.socket, PollFlags::OUT)];
        let fits = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        if matches!(fits, Ok(1)) && fds[0].revents().contains(PollFlags::OUT) {
            let _ = self.session.keepalive_send();
            self.check_session()?;
        }
        Ok(())
    }

    /// Fails if libssh2's last error means that the session cannot be used any more.
    fn check_session(&self) -> Result<(), String> {
        match ssh2::Error::last_session_error(&self.session) {
            Some(error) if ends_session(&error) => Err(error.message().to_owned()),
            _ => Ok(()),
        }
    }

    /// Waits until something can be done.
    fn wait(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let reading = self.reading();
        let silent_at = self.liveness.silence.filter(|_| reading).map(|limit| self.heard + limit);
        let keep_alive_at = self.liveness.keep_alive.map(|_| self.keep_alive_due);
        let until = [silent_at, keep_alive_at].into_iter().flatten().min();
        let timeout = until.map(|until| {
            // At least a moment, so that what is due but cannot be done does not spin.
            let left = until.saturating_duration_since(now).max(Duration::from_millis(10));
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        // What nobody is ready for stays in the socket; only the end is looked for.
        let mut server = if reading { PollFlags::IN } else { CLOSED };
        server.set(PollFlags::OUT, self.sending());
        let mut fds =
            vec![PollFd::new(&*self.socket, server), PollFd::new(&self.notifier, PollFlags::IN)];
        let watched = self.pumps.iter().flat_map(ChannelPump::interest);
        let watched = watched.chain(self.copies.iter().filter_map(Copy::interest));
        fds.extend(watched.map(|(fd, flags)| PollFd::new(fd, flags)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.to_string()),
        }
        let answered = !fds[0].revents().is_empty();
        drop(fds);
        let now = Instant::now();
        if answered || !reading {
            self.heard = now;
        } else if silent_at.is_some_and(|at| now >= at) {
            let limit = ingot_sdk::GoDuration(self.liveness.silence.unwrap_or_default());
            return Err(format!("the server was silent for {limit} (ssh_read_write_timeout)"));
        }
        if !reading && answered {
            return Err("the server closed the connection".into());
        }
        Ok(())
    }

    /// Whether something is ready to take what the server sends.
    fn reading(&self) -> bool {
        !self.opening.is_empty()
            || !self.copies.is_empty()
            || !self.listeners.is_empty()
            || self.pumps.iter().any(ChannelPump::reads)
    }
}

/// Looks whether the server's SFTP program answers. Where it does not start, as when it is not
/// installed, libssh2 would wait for a minute and take the session for lost.
fn answers_sftp(session: &Session) -> Result<(), ssh2::Error> {
    // SSH_FXP_INIT of version 3, and its length (draft-ietf-secsh-filexfer-02).
    const INIT: [u8; 9] = [0, 0, 0, 5, 1, 0, 0, 0, 3];
    // LIBSSH2_ERROR_CHANNEL_CLOSED
    const CLOSED: ssh2::ErrorCode = ssh2::ErrorCode::Session(-26);
    let mut channel = session.channel_session()?;
    channel.subsystem("sftp")?;
    let answered = std::io::Write::write_all(&mut channel, &INIT)
        .and_then(|()| channel.read(&mut [0; 4]))
        .is_ok_and(|count| count > 0);
    // What is lost shows by itself.
    let _ = channel.close().and_then(|()| channel.wait_close());
    match answered {
        true => Ok(()),
        false => Err(ssh2::Error::new(CLOSED, "its SFTP program ended before it responded")),
    }
}

/// Whether a session cannot be used any more after this error.
pub(crate) fn ends_session(error: &ssh2::Error) -> bool {
    // SOCKET_NONE, KEX_FAILURE, KEY_EXCHANGE_FAILURE, INVALID_MAC, SOCKET_SEND, TIMEOUT,
    // DECRYPT, SOCKET_DISCONNECT, PROTO, SOCKET_TIMEOUT, SOCKET_RECV, ENCRYPT, BAD_SOCKET
    const FATAL: [i32; 13] = [-1, -5, -8, -4, -7, -9, -12, -13, -14, -30, -43, -44, -45];
    matches!(error.code(), ssh2::ErrorCode::Session(code) if FATAL.contains(&code))
}

/// Opens a channel bit by bit. None: not yet.
fn advance(
    session: &Session,
    purpose: &Purpose,
    begun: &mut Option<(Channel, bool)>,
) -> std::io::Result<Option<Channel>> {
    let (line, pty) = match purpose {
        Purpose::Connection { host, port } => {
            let opened = session.channel_direct_tcpip(host, *port, None);
            return would_block(opened.map_err(std::io::Error::from));
        }
        Purpose::Command { line, pty } => (line, *pty),
    };
    if begun.is_none() {
        let opened = session.channel_session().map_err(std::io::Error::from);
        let Some(channel) = would_block(opened)? else { return Ok(None) };
        *begun = Some((channel, !pty));
    }
    let Some((channel, has_terminal)) = begun else { return Ok(None) };
    if !*has_terminal {
        let mut modes = ssh2::PtyModes::new();
        modes.set_boolean(ssh2::PtyModeOpcode::ECHO, false);
        if again(channel.request_pty("xterm", Some(modes), Some((80, 40, 0, 0))))? {
            return Ok(None);
        }
        *has_terminal = true;
    }
    if again(channel.exec(line))? {
        return Ok(None);
    }
    Ok(begun.take().map(|(channel, _)| channel))
}
