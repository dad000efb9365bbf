//! Waiting for one's turn, but not for ever.

use std::time::Duration;

use tokio::sync::AcquireError;
use tokio::time::timeout;

use crate::api::{Code, Error, Result};

/// What `wait` gives: the permits of semaphores, for something that few may do at once.
///
/// # Errors
/// Unavailable: others had them for `longest`.
pub async fn turn_within<T>(
    longest: Duration,
    wait: impl Future<Output = Result<T, AcquireError>>,
) -> Result<T> {
    match timeout(longest, wait).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Error::new(Code::Unavailable, "the registry is too busy; try again later")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let places = Arc::new(Semaphore::new(1));
        let soon = Duration::from_millis(10);
        let turn = turn_within(soon, places.clone().acquire_owned()).await.expect("a turn");
        let waited = turn_within(soon, places.clone().acquire_owned()).await;
        let error = waited.expect_err("somebody else has it");
        assert_eq!(error.code, Code::Unavailable);
        assert_eq!(error.message, "the registry is too busy; try again later");
        drop(turn);
        assert!(turn_within(soon, places.acquire_owned()).await.is_ok());
    }
}
