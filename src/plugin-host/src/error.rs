//! Why a plugin program could not do what it was asked to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ingot_sdk::ErrorKind;
use ingot_sdk::process_group::TERMINAL_HINT;

/// `Result` with a [`HostError`].
pub type Result<T, E = HostError> = std::result::Result<T, E>;

/// What went wrong with a plugin program, and the last lines of its log.
#[derive(Debug)]
pub struct HostError {
    /// The plugin's name, such as `packer-plugin-ansible`.
    pub program: String,
    /// What went wrong.
    pub failure: Failure,
    /// The last lines that the program wrote to standard error, the oldest first. Empty where they
    /// would not explain the failure.
    pub log: Vec<String>,
}

/// What can go wrong with a plugin program.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The operating system did not start it.
    #[error("{} cannot be started: {source}", .path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It ended by itself.
    #[error("it ended {status} while {during}")]
    Exited {
        /// How, as in "with exit code 1".
        status: String,
        /// What it was asked to do.
        during: String,
    },
    /// It did not answer in time.
    #[error("it did not respond within {} while {during}", seconds(*.limit))]
    Timeout {
        /// How long it had.
        limit: Duration,
        /// What it was asked to do.
        during: String,
    },
    /// It did not answer what it was asked in the time that the environment gives it.
    #[error(
        "it did not respond within {} while {during} ({} sets how long it may take)",
        seconds(*.limit), crate::call_timeout::TIMEOUT
    )]
    Unanswered {
        /// How long it had.
        limit: Duration,
        /// What it was asked to do.
        during: String,
    },
    /// What it printed when it started is not what plugins print.
    #[error(
        "it does not behave like a plugin: it printed {line:?} where the address it listens on was expected"
    )]
    Handshake {
        /// The line it printed.
        line: String,
    },
    /// It speaks another version of the protocol.
    #[error("it speaks version {spoken} of the plugin protocol; this program speaks 5.0")]
    Version {
        /// Its version.
        spoken: String,
    },
    /// Its socket did not take a connection.
    #[error("cannot connect to it at {address}: {source}")]
    Connect {
        /// The address that it printed.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It closed the connection, but still runs.
    #[error("it closed the connection while {during}")]
    Closed {
        /// What it was asked to do.
        during: String,
    },
    /// It was ended, as the terminal had stopped it.
    #[error(
        "it, or what it started, wanted to use the terminal while {during}, which plugins do not have"
    )]
    Terminal {
        /// What it was asked to do.
        during: String,
    },
    /// It sent what the protocol does not allow.
    #[error("invalid message from it while {during}: {problem}")]
    Protocol {
        /// What it was asked to do.
        during: String,
        /// What is wrong with the message.
        problem: String,
    },
    /// It answered with an error of its own.
    #[error("{0}")]
    Remote(String),
    /// The same after it was asked to stop: it should have removed what it created.
    #[error("{0}; what it created may be left")]
    Abandoned(Box<Failure>),
    /// The build was cancelled while it worked.
    #[error("cancelled")]
    Cancelled,
}

/// A duration for people, in seconds.
fn seconds(duration: Duration) -> String {
    match duration.as_secs_f64() {
        1.0 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

impl HostError {
    /// The error of a component that creates what only its plugin knows of. If the plugin did not live
    /// to remove that, the user has to look for it.
    pub(crate) fn while_creating(self) -> ingot_sdk::Error {
        // What the plugin says itself has what it could not remove, and so has the message of a plugin
        // that was stopped.
        let died = matches!(
            self.failure,
            Failure::Exited { .. }
                | Failure::Closed { .. }
                | Failure::Protocol { .. }
                | Failure::Timeout { .. }
                | Failure::Unanswered { .. }
                | Failure::Terminal { .. }
        );
        let hint = format!(
            "what {} had created may be left: look for it, as `ingot cleanup` does not know it",
            self.program
        );
        let error = ingot_sdk::Error::from(self);
        if died { error.further_hint(hint) } else { error }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            // The plugin's own errors are shown as if it were built in.
            Failure::Remote(message) => f.write_str(message),
            Failure::Cancelled => f.write_str("cancelled"),
            failure => {
                write!(f, "the plugin {} failed: {failure}", self.program)?;
                if !self.log.is_empty() {
                    f.write_str("\nThe last lines of its log:")?;
                    self.log.iter().try_for_each(|line| write!(f, "\n  {line}"))?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for HostError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.failure.source()
    }
}

impl From<HostError> for ingot_sdk::Error {
    fn from(error: HostError) -> Self {
        match error.failure {
            Failure::Cancelled => ingot_sdk::Error::Cancelled,
            Failure::Abandoned(_) => {
                ingot_sdk::Error::new(error.to_string()).of_kind(ErrorKind::Abandoned)
            }
            Failure::Terminal { .. } => {
                ingot_sdk::Error::new(error.to_string()).hint(TERMINAL_HINT)
            }
            _ => ingot_sdk::Error::new(error.to_string()),
        }
    }
}
