//! What every removal shares: looking for things, and trying again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::ebs::tags::RUN_TAG;
use crate::ebs::wait::may_pass;
use crate::failure::{Failure, Kind};
use crate::filter::filter;

/// How long one removal is tried for.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// The pause after the first try that failed.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How often AWS may fail to answer. The client has tried each call many times then.
const BROKEN_TRIES: u32 = 3;

/// Removes something, in spite of a busy AWS and of things that are still in use. Not finding it
/// is success.
pub(crate) async fn persist<T, F>(mut attempt: impl FnMut() -> F) -> Result<Option<T>, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let deadline = Instant::now() + LIMIT;
    let (mut pause, mut broken) = (FIRST_PAUSE, 0);
    loop {
        let failure = match attempt().await {
            Ok(value) => return Ok(Some(value)),
            Err(failure) if failure.kind == Kind::NotFound => return Ok(None),
            Err(failure) => failure,
        };
        broken += u32::from(may_pass(&failure));
        let again = in_use(&failure) || may_pass(&failure) && broken < BROKEN_TRIES;
        if !again || Instant::now() + pause > deadline {
            return Err(failure);
        }
        tracing::debug!(%failure, "a removal failed");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How often something that may be there is looked for. What was made a moment ago may not be seen
/// at once by all of AWS.
const LOOKS: u32 = 4;

/// The pause after the first look; each is twice the one before.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Looks for something that a call may have made, or calls something that a call has made, until
/// it is found or not found several times.
pub(crate) async fn look_for<T, F>(mut find: impl FnMut() -> F) -> Result<Option<T>, Failure>
where
    F: Future<Output = Result<Option<T>, Failure>>,
{
    let mut pause = LOOK_PAUSE;
    for _ in 1..LOOKS {
        let found = persist(&mut find).await?.flatten();
        if found.is_some() {
            return Ok(found);
        }
        sleep(pause).await;
        pause *= 2;
    }
    Ok(persist(find).await?.flatten())
}

/// Whether something that goes away in its own time still needs what is to be removed.
pub(super) fn in_use(failure: &Failure) -> bool {
    const CODES: &[&str] = &[
        "DependencyViolation",
        "InvalidGroup.InUse",
        "IncorrectState",
        "IncorrectInstanceState",
        "InvalidSnapshot.InUse",
        "VolumeInUse",
        "DeleteConflict",
        "ConcurrentModification",
    ];
    failure.code.as_deref().is_some_and(|code| CODES.contains(&code))
}

/// The filter for what a run made.
pub(super) fn of_run(run: &str) -> aws_sdk_ec2::types::Filter {
    // In quotes, which keep a comma.
    filter(&format!("tag:{RUN_TAG}"), &format!("\"{run}\""))
}
