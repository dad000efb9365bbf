//! Joins an SSH channel to local sockets, both ways, without blocking.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;

use ingot_sdk::ExitStatus;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::Shutdown;
use ssh2::Channel;
use tokio::sync::oneshot;

/// How much is read at once. Several of SSH's packets (32 KiB), so that there is one pass
/// through the loop for many of them.
const BUFFER: usize = 256 * 1024;

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Something moved: step again.
    Moved,
    /// Nothing can move until a socket is ready.
    Waiting,
    /// It is over.
    Done,
}

/// Bytes on their way.
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new() -> Self {
        Buffer { bytes: vec![0; BUFFER], start: 0, end: 0 }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn filled(&mut self, count: usize) {
        (self.start, self.end) = (0, count);
    }

    fn pending(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn clear(&mut self) {
        self.filled(0);
    }
}

/// A channel and the sockets it is joined to.
pub(crate) struct ChannelPump {
    channel: Channel,
    /// Bytes for the channel's input and from its output.
    data: OwnedFd,
    /// Takes what a command writes to its standard error.
    errors: Option<OwnedFd>,
    /// Told how a command ended. A tunnel has nobody to tell.
    ended: Option<oneshot::Sender<ExitStatus>>,
    up: Buffer,
    down: Buffer,
    down_errors: Buffer,
    /// Nothing more comes from the near side.
    near_end: bool,
    /// The far side knows.
    near_end_sent: bool,
    /// Nothing more comes from the far side.
    far_end: bool,
    /// Nobody listens at the near side any more.
    abandoned: bool,
    /// The far side has closed the channel.
    far_closed: bool,
}

impl ChannelPump {
    /// Joins `channel`; `ended` is there for a command.
    pub(crate) fn new(
        channel: Channel,
        data: OwnedFd,
        errors: Option<OwnedFd>,
        ended: Option<oneshot::Sender<ExitStatus>>,
    ) -> Self {
        ChannelPump {
            channel,
            data,
            errors,
            ended,
            up: Buffer::new(),
            down: Buffer::new(),
            down_errors: Buffer::new(),
            near_end: false,
            near_end_sent: false,
            far_end: false,
            abandoned: false,
            far_closed: false,
        }
    }

    /// Moves what can be moved. `sending` says that some packet is stuck half-way into the
    /// server's socket.
    ///
    /// # Errors
    /// The channel, or the whole session, is broken.
    pub(crate) fn step(&mut self, sending: bool) -> std::io::Result<Progress> {
        let mut moved = false;
        if self.ended.as_ref().is_some_and(oneshot::Sender::is_closed) {
            self.abandon();
        }
        if !self.far_end && !self.abandoned {
            moved |= self.step_down()?;
        }
        if self.abandoned && sending && !self.send_rest()? {
            return Ok(Progress::Waiting);
        }
        if self.far_end || self.abandoned {
            return self.step_end(moved);
        }
        moved |= self.step_up()?;
        Ok(if moved { Progress::Moved } else { Progress::Waiting })
    }

    /// Calls again what was interrupted, in case the packet that is stuck is this channel's: no
    /// other call on the session gets through before. Whether there is nothing left of it.
    fn send_rest(&mut self) -> std::io::Result<bool> {
        if self.up.is_empty() {
            // Reading sends, too: that there is room for more.
            self.down.clear();
            fill(&mut self.channel, &mut self.down)?;
            return Ok(true);
        }
        let sent = would_block(self.channel.write(self.up.pending()))?.is_some();
        if sent {
            self.up.clear();
        }
        Ok(sent)
    }

    /// From the far side to the near one.
    fn step_down(&mut self) -> std::io::Result<bool> {
        let mut moved = false;
        if self.down.is_empty() {
            moved |= fill(&mut self.channel, &mut self.down)?;
        }
        if self.errors.is_some() && self.down_errors.is_empty() {
            moved |= fill(&mut self.channel.stderr(), &mut self.down_errors)?;
        }
        let mut gone = false;
        for (buffer, socket) in
            [(&mut self.down, Some(&self.data)), (&mut self.down_errors, self.errors.as_ref())]
        {
            let Some(socket) = socket.filter(|_| !buffer.is_empty()) else { continue };
            match rustix::io::write(socket, buffer.pending()) {
                Ok(count) => {
                    buffer.start += count;
                    moved = true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => gone = true,
            }
        }
        if gone {
            self.abandon();
        } else if self.down.is_empty() && self.down_errors.is_empty() && self.channel.eof() {
            self.far_end = true;
            // Readers at the near side see the end of the output.
            let _ = rustix::net::shutdown(&self.data, Shutdown::Write);
            self.errors = None;
            moved = true;
        }
        Ok(moved)
    }

    /// From the near side to the far one.
    fn step_up(&mut self) -> std::io::Result<bool> {
        let mut moved = false;
        if self.up.is_empty() && !self.near_end {
            match rustix::io::read(&self.data, &mut self.up.bytes[..]) {
                Ok(0) => {
                    self.near_end = true;
                    moved = true;
                }
                Ok(count) => {
                    self.up.filled(count);
                    moved = true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => self.abandon(),
            }
        }
        while !self.up.is_empty() {
            match would_block(self.channel.write(self.up.pending()))? {
                Some(count @ 1..) => {
                    self.up.start += count;
                    moved = true;
                }
                _ => break,
            }
        }
        if self.near_end && self.up.is_empty() && !self.near_end_sent {
            if again(self.channel.send_eof())? {
                return Ok(moved);
            }
            self.near_end_sent = true;
            moved = true;
        }
        Ok(moved)
    }

    /// After the far side's end: waits for a command's exit code, lets a tunnel's other half run
    /// out, and closes the channel.
    fn step_end(&mut self, mut moved: bool) -> std::io::Result<Progress> {
        let half_open = self.ended.is_none() && !self.abandoned && !self.near_end_sent;
        if half_open {
            moved |= self.step_up().unwrap_or_else(|_| {
                self.abandon();
                true
            });
            return Ok(if moved { Progress::Moved } else { Progress::Waiting });
        }
        if self.ended.is_some() && !self.abandoned && !self.far_closed {
            if again(self.channel.wait_close())? {
                return Ok(if moved { Progress::Moved } else { Progress::Waiting });
            }
            self.far_closed = true;
            let status = exit_status(&self.channel);
            self.ended.take().map(|ended| ended.send(status));
        }
        match again(self.channel.close()) {
            Ok(true) => Ok(if moved { Progress::Moved } else { Progress::Waiting }),
            Ok(false) => Ok(Progress::Done),
            Err(error) => Err(error),
        }
    }

    fn abandon(&mut self) {
        self.abandoned = true;
        self.down.clear();
        self.down_errors.clear();
    }

    /// The sockets to watch, and for what.
    pub(crate) fn interest(&self) -> Vec<(&OwnedFd, PollFlags)> {
        if self.abandoned || (self.far_end && self.ended.is_some()) {
            return Vec::new();
        }
        // A hang-up is reported whatever is watched for, so a socket without anything to watch
        // for is left out: nothing can be done about a hang-up before there is room.
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.up.is_empty() && !self.near_end);
        flags.set(PollFlags::OUT, !self.down.is_empty());
        let mut watched = Vec::new();
        if !flags.is_empty() {
            watched.push((&self.data, flags));
        }
        if let Some(errors) = self.errors.as_ref().filter(|_| !self.down_errors.is_empty()) {
            watched.push((errors, PollFlags::OUT));
        }
        watched
    }

    /// Whether it is ready to take what the server sends.
    pub(crate) fn reads(&self) -> bool {
        let closing = self.abandoned || (self.far_end && self.ended.is_some());
        let errors_wanted = self.errors.is_some() && self.down_errors.is_empty();
        let data_wanted = !self.far_end && (self.down.is_empty() || errors_wanted);
        closing || self.near_end_sent || data_wanted || !self.up.is_empty()
    }

    /// The session is lost.
    pub(crate) fn lose(mut self) {
        self.ended.take().map(|ended| ended.send(ExitStatus::Disconnected));
    }
}

/// Reads into an empty buffer; whether anything came.
fn fill(source: &mut dyn Read, buffer: &mut Buffer) -> std::io::Result<bool> {
    match would_block(source.read(&mut buffer.bytes))? {
        Some(count @ 1..) => {
            buffer.filled(count);
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// None for what cannot be done yet.
pub(crate) fn would_block<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether it has to be called again.
pub(crate) fn again(result: Result<(), ssh2::Error>) -> std::io::Result<bool> {
    would_block(result.map_err(std::io::Error::from)).map(|done| done.is_none())
}

fn exit_status(channel: &Channel) -> ExitStatus {
    let signal = channel.exit_signal().ok().and_then(|signal| signal.exit_signal);
    match signal {
        // As a shell would put it.
        Some(name) => ExitStatus::Code(128 + signal_number(&name)),
        None => ExitStatus::Code(channel.exit_status().unwrap_or(-1)),
    }
}

/// RFC 4254's names of signals.
fn signal_number(name: &str) -> i32 {
    match name {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "ILL" => 4,
        "ABRT" => 6,
        "FPE" => 8,
        "KILL" => 9,
        "USR1" => 10,
        "SEGV" => 11,
        "USR2" => 12,
        "PIPE" => 13,
        "ALRM" => 14,
        "TERM" => 15,
        _ => 0,
    }
}
