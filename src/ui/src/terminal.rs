//! The terminal that questions are answered on.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Error, IsTerminal as _, Result, stdin};

use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;

/// Where answers come from.
pub(super) enum Terminal {
    /// Standard input.
    Stdin,
    /// What controls this process, where standard input is something else, as with `xargs`.
    Controlling(File),
}

impl Terminal {
    /// The terminal of whoever started this process.
    ///
    /// # Errors
    /// There is none, or it is somebody else's for now: a process in the background that reads from its
    /// terminal is stopped.
    pub(super) fn open() -> Result<Terminal> {
        let terminal = match stdin().is_terminal() {
            true => Terminal::Stdin,
            false => Terminal::Controlling(
                File::open("/dev/tty").map_err(|_| Error::other("there is no terminal"))?,
            ),
        };
        match terminal.is_for_others() {
            true => Err(Error::other("this process is in the background of its terminal")),
            false => Ok(terminal),
        }
    }

    fn is_for_others(&self) -> bool {
        let reads = match self {
            Terminal::Stdin => tcgetpgrp(stdin()),
            Terminal::Controlling(file) => tcgetpgrp(file),
        };
        // A terminal that does not control this process is read by whoever likes.
        reads.is_ok_and(|group| group != getpgrp())
    }

    /// Waits for a line, and gives it with its end.
    ///
    /// # Errors
    /// The terminal is gone, or what is typed is not UTF-8.
    pub(super) fn read_line(self) -> Result<String> {
        let mut line = String::new();
        match self {
            Terminal::Stdin => stdin().read_line(&mut line)?,
            Terminal::Controlling(file) => BufReader::new(file).read_line(&mut line)?,
        };
        Ok(line)
    }
}
