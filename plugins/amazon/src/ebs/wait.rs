//! Waiting until something at AWS is as it should be.

use std::time::Duration;

use ingot_sdk::retry::Retry;
use ingot_sdk::{Error, GoDuration, Result, Ui};
use tokio::time::{Instant, sleep};

use crate::failure::{Failure, Kind};

/// How often a long wait says how things are.
const REPORT: Duration = Duration::from_secs(60);

/// What a look has found.
pub enum Look<T> {
    /// It is as it should be.
    Done(T),
    /// Not yet; how it is, in words.
    NotYet(String),
    /// It will never be.
    Never(Error),
}

/// Whether a call may work if it is made again.
pub fn may_pass(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::Throttled | Kind::Unreachable | Kind::Broken)
}

/// Looks at `what` until it is as it should be, more and more rarely. That AWS is too busy to
/// answer does not end the wait.
///
/// # Errors
/// It will never be, or takes longer than `pace` allows; or AWS refuses to tell.
pub async fn until<T, F>(ui: &Ui, what: &str, pace: Retry, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Look<T>, Failure>>,
{
    let started = Instant::now();
    let mut reported = started;
    let mut delay = pace.initial;
    loop {
        let state = match look().await {
            Ok(Look::Done(value)) => return Ok(value),
            Ok(Look::Never(error)) => return Err(error),
            Ok(Look::NotYet(state)) => state,
            Err(failure) if may_pass(&failure) => failure.to_string(),
            Err(failure) => return Err(failure.during(format!("waiting for {what}")).into()),
        };
        tracing::debug!(%state, "waiting for {what}");
        let waited = started.elapsed();
        if let Some(limit) = pace.timeout
            && waited + delay > limit
        {
            let limit = GoDuration(Duration::from_secs(limit.as_secs()));
            return Err(Error::new(format!("{what} is not ready after {limit}: {state}"))
                .hint("give it more time with max_attempts and delay_seconds in aws_polling"));
        }
        if reported.elapsed() >= REPORT {
            reported = Instant::now();
            let waited = GoDuration(Duration::from_secs(waited.as_secs()));
            ui.message(format!("Still waiting for {what} after {waited}: {state}"));
        }
        sleep(delay).await;
        delay = (delay * 2).min(pace.max);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn pace() -> Retry {
        let initial = Duration::from_millis(50);
        let timeout = Some(Duration::from_secs(1));
        Retry { initial, max: Duration::from_millis(300), tries: None, timeout }
    }

    fn ui() -> Ui {
        Ui::new(std::sync::Arc::new(ingot_sdk::testing::Said::default()))
    }

    #[tokio::test]
    async fn being_throttled_does_not_end_a_wait() {
        let looks = Cell::new(0);
        let look = || async {
            looks.set(looks.get() + 1);
            match looks.get() {
                1 => Ok(Look::NotYet("pending".to_owned())),
                2 => Err(Failure::answered("RequestLimitExceeded", "slow down")),
                _ => Ok(Look::Done(looks.get())),
            }
        };
        let started = Instant::now();
        assert_eq!(until(&ui(), "it", pace(), look).await.unwrap(), 3);
        // One pause and one of twice the length.
        assert!(started.elapsed() >= Duration::from_millis(150));
    }

    #[tokio::test]
    async fn a_wait_ends_and_says_how_it_is() {
        let look = || async { Ok(Look::<()>::NotYet("pending".to_owned())) };
        let error = until(&ui(), "the AMI ami-1", pace(), look).await.unwrap_err();
        assert_eq!(error.to_string(), "the AMI ami-1 is not ready after 1s: pending");
    }

    #[tokio::test]
    async fn a_refusal_ends_a_wait() {
        let look = || async { Err::<Look<()>, _>(Failure::answered("AuthFailure", "no")) };
        let error = until(&ui(), "it", pace(), look).await.unwrap_err();
        assert_eq!(error.to_string(), "waiting for it: no (AuthFailure)");
    }
}
