//! The one error type that crosses the plugin boundary.

use std::fmt::Display;

/// `Result` with the SDK's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a plugin could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user interrupted the build, or another part of it asked everything to stop.
    #[error("cancelled")]
    Cancelled,
    /// Something failed. `message` says what, `hint` what the user can do about it.
    #[error("{message}")]
    Failed {
        /// What went wrong, in one sentence without a trailing full stop.
        message: String,
        /// What the user can do about it.
        hint: Option<String>,
        /// Whether doing the same again can help.
        kind: ErrorKind,
    },
}

/// Whether doing the same again can help.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorKind {
    /// It fails the same way until somebody mends the cause.
    #[default]
    Permanent,
    /// The machine, or the way to it, is away for the moment, as during a reboot.
    Transient,
}

impl Error {
    /// A permanent failure described by `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Error::Failed { message: message.into(), hint: None, kind: ErrorKind::Permanent }
    }

    /// The same failure, of the kind that may be gone when the same is done again.
    pub fn transient(self) -> Self {
        match self {
            Error::Failed { message, hint, .. } => {
                Error::Failed { message, hint, kind: ErrorKind::Transient }
            }
            cancelled => cancelled,
        }
    }

    /// Whether doing the same again may succeed. What retries asks this.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Failed { kind: ErrorKind::Transient, .. })
    }

    /// Adds advice on how to mend the failure.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Error::Failed { message, kind, .. } => {
                Error::Failed { message, hint: Some(hint.into()), kind }
            }
            cancelled => cancelled,
        }
    }

    /// Prefixes the message with what was being done. Cancellation stays cancellation, and a kind
    /// stays what it is.
    pub fn context(self, doing: impl Display) -> Self {
        match self {
            Error::Failed { message, hint, kind } => {
                Error::Failed { message: format!("{doing}: {message}"), hint, kind }
            }
            cancelled => cancelled,
        }
    }

    /// Whether this is a cancellation rather than a failure.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Error::Cancelled)
    }

    /// The advice that goes with the failure, if any.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Error::Failed { hint, .. } => hint.as_deref(),
            Error::Cancelled => None,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::new(error.to_string())
    }
}

/// Says what was being done when an error came up.
pub trait Context<T> {
    /// Prefixes the error with `doing`, as in "reading ./script.sh: No such file or directory".
    fn context(self, doing: impl Display) -> Result<T>;
    /// Like [`Context::context`], for a message that costs something to make.
    fn with_context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Display + IntoSdkError> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Display) -> Result<T> {
        self.map_err(|error| error.into_sdk_error().context(doing))
    }

    fn with_context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into_sdk_error().context(doing()))
    }
}

/// Turns a library's error into an [`Error`], keeping what the chain of causes says.
pub trait IntoSdkError {
    /// The conversion.
    fn into_sdk_error(self) -> Error;
}

impl IntoSdkError for Error {
    fn into_sdk_error(self) -> Error {
        self
    }
}

impl<E: std::error::Error> IntoSdkError for E
where
    E: NotSdkError,
{
    fn into_sdk_error(self) -> Error {
        flattened(&self)
    }
}

impl IntoSdkError for reqwest::Error {
    /// Without the URL, which may hold a password.
    fn into_sdk_error(self) -> Error {
        flattened(&self.without_url())
    }
}

fn flattened(error: &dyn std::error::Error) -> Error {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    Error::new(message)
}

/// Marks library errors that [`IntoSdkError`] flattens. Implement it for an error type to
/// use [`Context`] on its results.
pub trait NotSdkError {}
impl NotSdkError for std::io::Error {}
impl NotSdkError for serde_json::Error {}
impl NotSdkError for regex::Error {}
impl NotSdkError for tokio::task::JoinError {}
impl NotSdkError for std::string::FromUtf8Error {}
