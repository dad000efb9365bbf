//! The one retry helper.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Error, Result};

/// How often and how patiently to try again.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// The wait after the first failure.
    pub initial: Duration,
    /// The longest wait; each wait is twice the one before until it gets there.
    pub max: Duration,
    /// How many tries at the most; none for no limit.
    pub tries: Option<u32>,
    /// How long to go on for, from the first try; none for no limit.
    pub timeout: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            initial: Duration::from_millis(200),
            max: Duration::from_secs(30),
            tries: None,
            timeout: None,
        }
    }
}

/// An error of tries that can say that the build was cancelled.
pub trait Stopped {
    /// The error for a cancelled build.
    fn stopped() -> Self;
    /// Whether this is that error; then there is no other try.
    fn is_stopped(&self) -> bool;
}

impl Stopped for Error {
    fn stopped() -> Self {
        Error::Cancelled
    }

    fn is_stopped(&self) -> bool {
        self.is_cancelled()
    }
}

impl Retry {
    /// Runs `attempt` until it succeeds, `should_retry` says no, or the limits are reached.
    ///
    /// # Errors
    /// The last attempt's error, or [`Error::Cancelled`].
    pub async fn run<T, F: Future<Output = Result<T>>>(
        &self,
        cancel: &CancellationToken,
        should_retry: impl FnMut(&Error) -> bool,
        attempt: impl FnMut(u32) -> F,
    ) -> Result<T> {
        self.run_with(cancel, should_retry, attempt).await
    }

    /// [`Retry::run`] for attempts whose errors tell more than a message, such as a code that
    /// decides whether to try again.
    ///
    /// # Errors
    /// The last attempt's error, or [`Stopped::stopped`].
    pub async fn run_with<T, E: Stopped, F: Future<Output = Result<T, E>>>(
        &self,
        cancel: &CancellationToken,
        mut should_retry: impl FnMut(&E) -> bool,
        mut attempt: impl FnMut(u32) -> F,
    ) -> Result<T, E> {
        let deadline = self.timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        let mut wait = self.initial;
        let mut tried = 0;
        loop {
            tried += 1;
            let error = tokio::select! {
                () = cancel.cancelled() => return Err(E::stopped()),
                result = attempt(tried) => match result {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                },
            };
            let out_of_time =
                deadline.is_some_and(|deadline| tokio::time::Instant::now() + wait > deadline);
            if error.is_stopped()
                || out_of_time
                || self.tries.is_some_and(|tries| tried >= tries)
                || !should_retry(&error)
            {
                return Err(error);
            }
            tokio::select! {
                () = cancel.cancelled() => return Err(E::stopped()),
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(self.max);
        }
    }
}
