//! The one error type, also between plugins and the engine.

use std::error::Error as StdError;
use std::fmt::Display;
use std::io;

/// `Result` with Ingot's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why work could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user interrupted the build, or another part of it asked everything to stop.
    #[error("cancelled")]
    Cancelled,
    /// Something failed.
    #[error(transparent)]
    Failed(Box<Failure>),
}

/// What failed. The message is whole: it holds what the causes say.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What went wrong, in one sentence without a trailing full stop.
    message: String,
    /// What the user can do about it.
    hint: Option<String>,
    kind: ErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What callers decide on: whether doing the same again can help.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorKind {
    /// It fails the same way until somebody mends the cause.
    #[default]
    Permanent,
    /// The machine, or the way to it, is away for the moment, as during a reboot.
    Transient,
    /// Another process uses what is needed, and may let go of it.
    Busy,
    /// Nobody knows whether what was created is gone, as a program died while it removed that. This is
    /// reported of a cancelled build, too.
    Abandoned,
}

impl Error {
    /// A permanent failure described by `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Error::Failed(Box::new(Failure {
            message: message.into(),
            hint: None,
            kind: ErrorKind::Permanent,
            source: None,
        }))
    }

    /// A permanent failure whose message is all that `cause` and its own causes say.
    pub fn caused_by(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let cause = cause.into();
        Error::new(whole_message(&*cause)).change(|failure| failure.source = Some(cause))
    }

    /// What failed of several things that were done at once, in one error. It has all messages and
    /// hints, and kind and cause of the first. It is a cancellation where nothing else went wrong.
    ///
    /// # Errors
    /// There are some.
    pub fn all(errors: impl IntoIterator<Item = Error>) -> Result<()> {
        let errors = errors.into_iter();
        let (cancelled, failed): (Vec<Error>, Vec<Error>) = errors.partition(Error::is_cancelled);
        let all = failed.into_iter().reduce(|all, error| {
            let message = format!("{all}; {error}");
            let all = all.reworded(message);
            match error.advice() {
                // Most often all fail in the same way.
                Some(advice) if all.advice().is_none_or(|known| !known.contains(advice)) => {
                    all.further_hint(advice)
                }
                _ => all,
            }
        });
        all.or(cancelled.into_iter().next()).map_or(Ok(()), Err)
    }

    fn change(mut self, change: impl FnOnce(&mut Failure)) -> Self {
        if let Error::Failed(failure) = &mut self {
            change(failure);
        }
        self
    }

    /// The same failure, of another kind.
    pub fn of_kind(self, kind: ErrorKind) -> Self {
        self.change(|failure| failure.kind = kind)
    }

    /// The same failure, of the kind that may be gone when the same is done again.
    pub fn transient(self) -> Self {
        self.of_kind(ErrorKind::Transient)
    }

    /// Its kind; none for a cancellation.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Error::Failed(failure) => Some(failure.kind),
            Error::Cancelled => None,
        }
    }

    /// Whether doing the same again may succeed. What retries asks this.
    pub fn is_transient(&self) -> bool {
        self.kind() == Some(ErrorKind::Transient)
    }

    /// Advice on how to mend the failure, in place of what there is.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.change(|failure| failure.hint = Some(hint.into()))
    }

    /// Advice after what there is, for whoever knows less of the cause than who came before.
    pub fn further_hint(self, hint: impl Into<String>) -> Self {
        let hint = match self.advice() {
            Some(advice) => format!("{advice}; {}", hint.into()),
            None => hint.into(),
        };
        self.hint(hint)
    }

    /// Prefixes the message with what was being done. Cancellation stays cancellation, and kind,
    /// advice and cause stay what they are.
    pub fn context(self, doing: impl Display) -> Self {
        self.change(|failure| failure.message = format!("{doing}: {}", failure.message))
    }

    /// The same failure in other words.
    pub fn reworded(self, message: impl Into<String>) -> Self {
        self.change(|failure| failure.message = message.into())
    }

    /// Whether this is a cancellation rather than a failure.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Error::Cancelled)
    }

    /// The advice that goes with the failure, if any.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Error::Failed(failure) => failure.hint.as_deref(),
            Error::Cancelled => None,
        }
    }

    /// Whether an I/O error of this kind is among its causes.
    pub fn is_io(&self, kind: io::ErrorKind) -> bool {
        causes(self).filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == kind)
    }
}

/// `error`, and all that it was caused by. Also what an [`io::Error`] wraps, which it hides from
/// [`StdError::source`].
pub fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::caused_by(error)
    }
}

/// Says what was being done when an error came up.
pub trait Context<T> {
    /// Prefixes the error with `doing`, as in "reading ./script.sh: No such file or directory".
    fn context(self, doing: impl Display) -> Result<T>;
    /// Like [`Context::context`], for a message that costs something to make.
    fn with_context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Display + IntoError> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Display) -> Result<T> {
        self.map_err(|error| error.into_error().context(doing))
    }

    fn with_context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into_error().context(doing()))
    }
}

/// Turns a library's error into an [`Error`], keeping it as the cause, and what the chain of causes
/// says in the message.
pub trait IntoError {
    /// The conversion.
    fn into_error(self) -> Error;
}

impl IntoError for Error {
    fn into_error(self) -> Error {
        self
    }
}

impl<E: StdError + Send + Sync + 'static> IntoError for E
where
    E: LibraryError,
{
    fn into_error(self) -> Error {
        Error::caused_by(self)
    }
}

impl IntoError for reqwest::Error {
    /// Without the URL, which may hold a password.
    fn into_error(self) -> Error {
        Error::caused_by(self.without_url())
    }
}

/// What an error and its causes say, without repeating what one says of the next.
fn whole_message(error: &(dyn StdError + 'static)) -> String {
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
    message
}

/// Marks library errors that [`IntoError`] converts. Implement it for an error type to
/// use [`Context`] on its results.
pub trait LibraryError {}
impl LibraryError for std::io::Error {}
impl LibraryError for serde_json::Error {}
impl LibraryError for tokio::task::JoinError {}
impl LibraryError for std::string::FromUtf8Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the pipe is unusable")]
    struct Unusable(#[source] io::Error);
    impl LibraryError for Unusable {}

    #[test]
    fn context_keeps_kind_advice_and_cause() {
        let broken = || Unusable(io::ErrorKind::BrokenPipe.into());
        let error = Err::<(), _>(broken()).context("uploading").unwrap_err();
        let error = error.transient().hint("try again").context("provisioning");
        assert_eq!(error.to_string(), "provisioning: uploading: the pipe is unusable: broken pipe");
        assert_eq!((error.kind(), error.advice()), (Some(ErrorKind::Transient), Some("try again")));
        assert!(error.is_io(io::ErrorKind::BrokenPipe) && !error.is_io(io::ErrorKind::NotFound));
        assert!(causes(&error).any(|cause| cause.is::<Unusable>()));
        let error = error.further_hint("or rest");
        assert_eq!(error.advice(), Some("try again; or rest"));
        let source = error.source().unwrap();
        assert_eq!(source.to_string(), "the pipe is unusable");
    }

    #[test]
    fn finds_what_an_io_error_wraps() {
        let inner = Unusable(io::ErrorKind::TimedOut.into());
        let error = Error::from(io::Error::other(inner));
        assert!(causes(&error).any(|cause| cause.is::<Unusable>()));
        assert!(error.is_io(io::ErrorKind::TimedOut));
        assert_eq!(error.to_string(), "the pipe is unusable: timed out");
    }

    #[test]
    fn several_errors_become_one() {
        assert!(Error::all([]).is_ok());
        let busy = || Error::new("one").of_kind(ErrorKind::Busy).hint("wait");
        let error = Error::all([
            busy(),
            Error::Cancelled,
            Error::new("two").hint("wait"),
            Error::new("three").hint("pay"),
        ])
        .unwrap_err();
        assert_eq!(error.to_string(), "one; two; three");
        assert_eq!((error.kind(), error.advice()), (Some(ErrorKind::Busy), Some("wait; pay")));
        let error = Error::all([busy()]).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.advice()), ("one", Some("wait")));
        assert!(Error::all([Error::Cancelled, Error::Cancelled]).unwrap_err().is_cancelled());
    }

    #[test]
    fn a_cancellation_stays_one() {
        let error = Error::Cancelled.context("doing").hint("h").of_kind(ErrorKind::Busy);
        assert!(error.is_cancelled() && error.kind().is_none() && error.advice().is_none());
        assert_eq!(error.to_string(), "cancelled");
        assert!(error.source().is_none());
    }
}
