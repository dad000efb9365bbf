//! The copying of a file's contents by SFTP.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use rustix::event::PollFlags;
use rustix::io::Errno;
use ssh2::File;
use tokio::sync::oneshot;

use crate::channel_pump::{Progress, again, would_block};

/// A file whose contents are being copied between the machine and a local socket or file.
pub(crate) struct Copy {
    file: File,
    local: OwnedFd,
    upload: bool,
    /// As long as what libssh2 may have under way for it.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The source has ended.
    read_all: bool,
    outcome: std::result::Result<(), String>,
    done: Option<oneshot::Sender<std::result::Result<(), String>>>,
}

impl Copy {
    /// The copying of `file` from or to `local`, with a buffer of `in_flight` bytes. `done` is told how it
    /// went.
    pub(crate) fn new(
        file: File,
        local: OwnedFd,
        upload: bool,
        in_flight: usize,
        done: oneshot::Sender<std::result::Result<(), String>>,
    ) -> Self {
        let buffer = vec![0; in_flight];
        let done = Some(done);
        Copy {
            file,
            local,
            upload,
            buffer,
            start: 0,
            end: 0,
            read_all: false,
            outcome: Ok(()),
            done,
        }
    }

    /// Moves what can be moved. `sending` says that some packet is stuck half-way into the
    /// server's socket. It may be this file's, so that nothing else gets through before.
    pub(crate) fn step(&mut self, sending: bool) -> Progress {
        let abandoned = self.done.as_ref().is_some_and(oneshot::Sender::is_closed);
        if abandoned && !sending && !self.closing() {
            self.outcome = Err("nobody waits for it any more".into());
        }
        if !self.closing() {
            let moved = if self.upload { self.step_up() } else { self.step_down() };
            match moved {
                Ok(true) => return Progress::Moved,
                Ok(false) if !self.closing() => return Progress::Waiting,
                Ok(false) => {}
                Err(error) => self.outcome = Err(error.to_string()),
            }
        }
        match again(self.file.close()) {
            Ok(true) => return Progress::Waiting,
            Ok(false) => {}
            Err(error) if self.outcome.is_ok() => self.outcome = Err(error.to_string()),
            Err(_) => {}
        }
        Progress::Done
    }

    /// Says how it went.
    pub(crate) fn finish(mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Ok(()));
        self.done.take().map(|done| done.send(outcome));
    }

    /// Whether nothing is left to do but to close the file.
    fn closing(&self) -> bool {
        self.outcome.is_err() || (self.read_all && self.start == self.end)
    }

    fn step_up(&mut self) -> std::io::Result<bool> {
        let mut moved = false;
        if !self.read_all && self.end < self.buffer.len() {
            match rustix::io::read(&self.local, &mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.read_all = true;
                    moved = true;
                }
                Ok(count) => {
                    self.end += count;
                    moved = true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.start < self.end
            && let Some(count) = would_block(self.file.write(&self.buffer[self.start..self.end]))?
        {
            self.start += count;
            moved |= count > 0;
            // Room for more behind what is under way, which libssh2 wants to see again.
            if self.start > self.buffer.len() / 2 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
        }
        Ok(moved)
    }

    fn step_down(&mut self) -> std::io::Result<bool> {
        let mut moved = false;
        if self.start == self.end && !self.read_all {
            // Smaller than what is read ahead, which is a multiple of it.
            let quarter = self.buffer.len() / 4;
            let piece = &mut self.buffer[..quarter];
            match would_block(self.file.read(piece))? {
                Some(0) => {
                    self.read_all = true;
                    moved = true;
                }
                Some(count) => {
                    (self.start, self.end) = (0, count);
                    moved = true;
                }
                None => {}
            }
        }
        if self.start < self.end {
            match rustix::io::write(&self.local, &self.buffer[self.start..self.end]) {
                Ok(count) => {
                    self.start += count;
                    moved = true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(moved)
    }

    /// The local end to watch, and for what.
    pub(crate) fn interest(&self) -> Option<(&OwnedFd, PollFlags)> {
        let wants = if self.closing() {
            return None;
        } else if self.upload {
            !self.read_all && self.end < self.buffer.len()
        } else {
            self.start < self.end
        };
        let flags = if self.upload { PollFlags::IN } else { PollFlags::OUT };
        wants.then_some((&self.local, flags))
    }
}
