//! What a session's thread can be asked to do.

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use ingot_sdk::ExitStatus;
use ssh2::Sftp;
use tokio::sync::oneshot;

use crate::sftp_copy::Copy;
use crate::tunnel::Tunnel;

/// What a channel is opened for.
#[derive(Clone)]
pub(crate) enum Purpose {
    /// Running a command.
    Command {
        /// The command line.
        line: String,
        /// Whether it gets a terminal.
        pty: bool,
    },
    /// A connection from the server to another host.
    Connection {
        /// The host, as the server sees it.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// A channel to open and join.
pub(crate) struct Opening {
    /// What for.
    pub purpose: Purpose,
    /// What to join it to.
    pub data: OwnedFd,
    /// What takes a command's standard error.
    pub errors: Option<OwnedFd>,
    /// Told how a command ended.
    pub ended: Option<oneshot::Sender<ExitStatus>>,
    /// Told when the channel is open, or why it is not.
    pub opened: oneshot::Sender<Result<(), String>>,
}

/// Short SFTP requests; what they return goes on beside everything else.
pub(crate) type SftpWork = Box<dyn FnOnce(Result<&Sftp, ssh2::Error>) -> Option<Copy> + Send>;

/// What a worker is asked to do.
pub(crate) enum WorkerCommand {
    /// Open a channel.
    Open(Opening),
    /// Do short SFTP requests. They block everything else on the session while they last.
    Sftp(SftpWork),
    /// Listen on a port of the machine.
    Listen(Tunnel, oneshot::Sender<Result<(), String>>),
    /// Join a channel that came in through a remote tunnel, if its target could be reached.
    Join(u64, std::io::Result<TcpStream>),
    /// Look whether somebody went away.
    Look,
    /// End the session.
    Stop,
}

/// Hands orders to a worker.
#[derive(Clone)]
pub(crate) struct WorkerCommands {
    queue: Sender<WorkerCommand>,
    notifier: Arc<UnixStream>,
}

impl WorkerCommands {
    /// Orders go into `queue`; `notifier` is rung for each.
    pub(crate) fn new(queue: Sender<WorkerCommand>, notifier: UnixStream) -> Self {
        WorkerCommands { queue, notifier: Arc::new(notifier) }
    }

    /// Hands over an order; whether the worker is still there to take it.
    pub(crate) fn give(&self, command: WorkerCommand) -> bool {
        let taken = self.queue.send(command).is_ok();
        // Full means that it has been rung already.
        let _ = rustix::io::write(&*self.notifier, b"!");
        taken
    }
}
