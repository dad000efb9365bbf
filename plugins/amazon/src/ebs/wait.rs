//! Waiting until something at AWS is as it should be.

use std::time::Duration;

use ingot_sdk::{Error, GoDuration, Result, Ui};
use tokio::time::{Instant, sleep};

use super::wait_times::Polling;
use crate::failure::{Failure, Kind};

/// How often a long wait says how things are.
const REPORT: Duration = Duration::from_secs(60);

/// The status of what is waited for.
pub(crate) enum WaitStatus<T> {
    /// It is as it should be.
    Ready(T),
    /// Not yet; its state, in words.
    Pending(String),
    /// It will never be.
    Failed(Error),
}

/// Whether a call may work if it is made again.
pub(crate) fn may_pass(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::Throttled | Kind::Unreachable | Kind::Broken)
}

/// Looks at `what` until it is as it should be, more and more rarely. That AWS is too busy to
/// answer does not end the wait. The last look is when the time is over, or the last one allowed.
///
/// # Errors
/// It will never be, or takes longer than `polling` allows; or AWS refuses to tell.
pub(crate) async fn until<T, F>(
    ui: &Ui,
    what: &str,
    polling: Polling,
    mut look: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<WaitStatus<T>, Failure>>,
{
    let Polling { retry, hint } = polling;
    let started = Instant::now();
    let mut reported = started;
    let mut delay = retry.initial;
    let mut looks = 0;
    loop {
        looks += 1;
        let state = match look().await {
            Ok(WaitStatus::Ready(value)) => return Ok(value),
            Ok(WaitStatus::Failed(error)) => return Err(error),
            Ok(WaitStatus::Pending(state)) => state,
            Err(failure) if may_pass(&failure) => failure.to_string(),
            Err(failure) => return Err(failure.during(format!("waiting for {what}")).into()),
        };
        tracing::debug!(%state, looks, "waiting for {what}");
        let waited = started.elapsed();
        let over = retry.timeout.is_some_and(|limit| waited >= limit);
        if over || retry.tries.is_some_and(|tries| looks >= tries) {
            let times = if looks == 1 { "once".to_owned() } else { format!("{looks} times") };
            return Err(Error::new(format!(
                "{what} is not ready after {}, looked at {times}: {state}",
                shown(waited)
            ))
            .hint(hint));
        }
        if reported.elapsed() >= REPORT {
            reported = Instant::now();
            ui.message(format!("Still waiting for {what} after {}: {state}", shown(waited)));
        }
        sleep(retry.timeout.map_or(delay, |limit| delay.min(limit - waited))).await;
        delay = (delay * 2).min(retry.max);
    }
}

/// A time as people read it: whole seconds, or milliseconds of what takes less than one.
fn shown(time: Duration) -> GoDuration {
    GoDuration(match time.as_secs() {
        0 => Duration::from_millis(u64::from(time.subsec_millis())),
        seconds => Duration::from_secs(seconds),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use ingot_sdk::retry::Retry;

    use super::*;

    fn polling() -> Polling {
        let initial = Duration::from_millis(50);
        let timeout = Some(Duration::from_secs(1));
        let retry = Retry { initial, max: Duration::from_millis(300), tries: None, timeout };
        Polling { retry, hint: "wait longer" }
    }

    fn ui() -> Ui {
        Ui::new(std::sync::Arc::new(ingot_sdk::testing::RecordedOutput::default()))
    }

    #[tokio::test]
    async fn being_throttled_does_not_end_a_wait() {
        let looks = Cell::new(0);
        let look = || async {
            looks.set(looks.get() + 1);
            match looks.get() {
                1 => Ok(WaitStatus::Pending("pending".to_owned())),
                2 => Err(Failure::from_code("RequestLimitExceeded", "slow down")),
                _ => Ok(WaitStatus::Ready(looks.get())),
            }
        };
        let started = Instant::now();
        assert_eq!(until(&ui(), "it", polling(), look).await.unwrap(), 3);
        // One pause and one of twice the length.
        assert!(started.elapsed() >= Duration::from_millis(150));
    }

    #[tokio::test]
    async fn a_wait_ends_and_says_how_it_is() {
        let look = || async { Ok(WaitStatus::<()>::Pending("pending".to_owned())) };
        let started = Instant::now();
        let error = until(&ui(), "the AMI ami-1", polling(), look).await.unwrap_err();
        // The time is used up, although the next pause would have been longer.
        assert!(started.elapsed() >= Duration::from_secs(1));
        let text = error.to_string();
        assert!(text.starts_with("the AMI ami-1 is not ready after 1s, looked at "), "{text}");
        assert!(text.ends_with(" times: pending"), "{text}");
        assert_eq!(error.advice(), Some("wait longer"));
    }

    #[tokio::test]
    async fn looks_are_counted_as_looks_and_the_time_reported_is_the_real_one() {
        for (tries, said) in [(1, "looked at once"), (3, "looked at 3 times")] {
            let looks = Cell::new(0);
            let look = || async {
                looks.set(looks.get() + 1);
                Ok(WaitStatus::<()>::Pending("pending".to_owned()))
            };
            let mut polling = polling();
            polling.retry = Retry { tries: Some(tries), timeout: None, ..polling.retry };
            let started = Instant::now();
            let error = until(&ui(), "it", polling, look).await.unwrap_err().to_string();
            let took = started.elapsed().as_millis();
            assert_eq!(looks.get(), tries);
            assert!(error.contains(said), "{error}");
            let shown_text = error.split("after ").nth(1).and_then(|rest| rest.split("ms").next());
            let shown_text: u128 = shown_text.and_then(|text| text.parse().ok()).unwrap_or(0);
            assert!(shown_text <= took && took - shown_text < 100, "{error} took {took} ms");
        }
    }

    #[tokio::test]
    async fn a_refusal_ends_a_wait() {
        let look = || async { Err::<WaitStatus<()>, _>(Failure::from_code("AuthFailure", "no")) };
        let error = until(&ui(), "it", polling(), look).await.unwrap_err();
        assert_eq!(error.to_string(), "waiting for it: no (AuthFailure)");
    }
}
