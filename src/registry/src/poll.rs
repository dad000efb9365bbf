//! Looking at what a registry does later than it answers, until it is done.

use ingot_base::retry::{Retry, Stopped};
use tokio_util::sync::CancellationToken;

use crate::api::{Error, Result};

/// Why a look was not the last.
enum Unfinished<T> {
    /// It is not done: what was seen.
    NotYet(T),
    /// Nobody waits any more.
    Stopped,
    /// The registry failed.
    Failed(Error),
}

impl<T> Stopped for Unfinished<T> {
    fn stopped() -> Self {
        Unfinished::Stopped
    }

    fn is_stopped(&self) -> bool {
        matches!(self, Unfinished::Stopped)
    }
}

/// What `look` sees once `is_done` is satisfied with it, or the limits of `retry` are reached; none if
/// `cancel` fires before.
///
/// # Errors
/// Those of `look`.
pub(crate) async fn poll<T, F>(
    retry: &Retry,
    cancel: &CancellationToken,
    is_done: impl Fn(&T) -> bool,
    mut look: impl FnMut() -> F,
) -> Result<Option<T>>
where
    F: Future<Output = Result<T>>,
{
    let is_done = &is_done;
    let attempt = |_| {
        let looked = look();
        async move {
            match looked.await {
                Ok(seen) if is_done(&seen) => Ok(seen),
                Ok(seen) => Err(Unfinished::NotYet(seen)),
                Err(error) => Err(Unfinished::Failed(error)),
            }
        }
    };
    let again = |why: &Unfinished<T>| matches!(why, Unfinished::NotYet(_));
    match retry.run_with(cancel, again, attempt).await {
        Ok(seen) | Err(Unfinished::NotYet(seen)) => Ok(Some(seen)),
        Err(Unfinished::Stopped) => Ok(None),
        Err(Unfinished::Failed(error)) => Err(error),
    }
}
