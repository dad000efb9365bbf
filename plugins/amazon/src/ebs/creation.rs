//! Creating things so that none is ever lost sight of.
//!
//! Before a call creates something, the thing is in the journal under a name chosen here. The call
//! goes on when the build is cancelled, so that what it has created is known before it is removed.
//! Where its answer is lost, the thing is looked for by its name before the call is made again.

use std::time::Duration;

use ingot_sdk::{JournalEntry, Resource, Result, RunContext};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::wait::may_pass;
use crate::failure::{Failure, Kind};

/// How long cleaning up waits for a call that is still under way.
const SETTLE: Duration = Duration::from_secs(60);
/// How often a call that creates something is made at least.
const TRIES: u32 = 8;
/// The pause after the first one that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// How long calls that create something are made again.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    cancel: CancellationToken,
    tries: u32,
}

impl Patience {
    /// Until `cancel` fires, and as often as `max_retries` says, but not less often than usual.
    pub(crate) fn new(cancel: &CancellationToken, max_retries: u32) -> Patience {
        Patience { cancel: cancel.clone(), tries: max_retries.max(TRIES) }
    }
}

/// Something that is being created, or was.
pub(crate) struct Creation<T> {
    entry: JournalEntry,
    call: Option<JoinHandle<Result<T, Failure>>>,
    created: Option<T>,
    /// See [`Creation::is_taken`].
    taken: bool,
}

impl<T: Clone + Send + 'static> Creation<T> {
    /// Writes `resource` to the journal and starts the call that creates it.
    ///
    /// # Errors
    /// The journal cannot be written; nothing is created then.
    pub(crate) fn begin(
        ctx: &RunContext,
        resource: &Resource,
        call: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<Creation<T>> {
        let entry = JournalEntry::open(&ctx.journal, resource)?;
        Ok(Creation { entry, call: Some(tokio::spawn(call)), created: None, taken: false })
    }

    /// Something that an earlier run of the build has created.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn again(ctx: &RunContext, resource: &Resource, created: T) -> Result<Creation<T>> {
        let entry = JournalEntry::open(&ctx.journal, resource)?;
        Ok(Creation { entry, call: None, created: Some(created), taken: false })
    }

    /// Creates it by another call, as the first one was refused. `resource` is what is known of it now.
    pub(crate) fn instead(
        &mut self,
        resource: &Resource,
        call: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) {
        self.amend(resource);
        self.call = Some(tokio::spawn(call));
    }

    /// What was created, where that is known.
    pub(crate) fn known(&self) -> Option<T> {
        self.created.clone()
    }

    /// Waits for what is created. Dropping the future does not stop the call.
    ///
    /// # Errors
    /// Why nothing was created, as far as that is known.
    pub(crate) async fn created(&mut self) -> Result<T, Failure> {
        if let Some(created) = &self.created {
            return Ok(created.clone());
        }
        let Some(call) = &mut self.call else {
            return Err(Failure::new(Kind::Broken, "the call failed before"));
        };
        let response = call.await;
        self.call = None;
        let response = response.unwrap_or_else(|error| {
            Err(Failure::new(Kind::Broken, format!("the call ended early: {error}")))
        });
        self.taken = response.as_ref().is_err_and(|failure| failure.kind == Kind::Taken);
        if self.taken {
            // Whoever cleans up after a killed build would find what has the name, and remove it.
            self.entry.resolve();
        }
        let created = response?;
        self.created = Some(created.clone());
        Ok(created)
    }

    /// What was created, if that is known or will be soon. None where it must be looked for.
    pub(crate) async fn settle(&mut self) -> Option<T> {
        let created = timeout(SETTLE, self.created()).await;
        if let Some(call) = self.call.take() {
            call.abort();
        }
        created.ok()?.ok()
    }

    /// Whether nothing was created, as something of somebody else's has the name: that is not to be
    /// looked for, and not to be removed.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken
    }

    /// Writes down more about it, such as the id that it has.
    pub(crate) fn amend(&self, resource: &Resource) {
        self.entry.amend(resource);
    }

    /// Resolves its record in the journal: it is gone, or the user's.
    pub(crate) fn done(self) {
        self.entry.done();
    }
}

/// Makes a call that creates something, with a client that does not repeat calls. Before it is
/// repeated, `find` looks for what it created in case only the response was lost. `again` says which refusals
/// are only for now. Once the build is cancelled it is not made again.
///
/// # Errors
/// The last failure; of the kind [`Kind::Taken`] where the name is taken and no answer was lost, as
/// nothing was created then.
pub(crate) async fn create<T, A, F>(
    patience: &Patience,
    mut attempt: impl FnMut() -> A,
    mut find: impl FnMut() -> F,
    again: impl Fn(&Failure) -> bool,
) -> Result<T, Failure>
where
    A: Future<Output = Result<T, Failure>>,
    F: Future<Output = Result<Option<T>, Failure>>,
{
    let mut pause = FIRST_PAUSE;
    let (mut tried, mut lost_before) = (0, false);
    loop {
        tried += 1;
        let failure = match attempt().await {
            Ok(created) => return Ok(created),
            Err(failure) => failure,
        };
        let lost = matches!(failure.kind, Kind::Unreachable | Kind::Broken);
        let duplicate = failure.code.as_deref().is_some_and(|code| code.ends_with(".Duplicate"));
        if duplicate && !lost_before {
            return Err(Failure { kind: Kind::Taken, ..failure });
        }
        lost_before |= lost;
        let may_pass = may_pass(&failure) || again(&failure);
        if !(may_pass || duplicate) {
            return Err(failure);
        }
        tracing::debug!(%failure, tried, "creating something failed");
        tokio::select! {
            () = patience.cancel.cancelled() => return Err(failure),
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        if (lost || duplicate)
            && let Some(found) = find().await?
        {
            return Ok(found);
        }
        if tried >= patience.tries || duplicate {
            return Err(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn lost() -> Failure {
        Failure::new(Kind::Unreachable, "cut off")
    }

    #[tokio::test]
    async fn what_a_lost_response_created_is_found() {
        let calls = Cell::new(0);
        let attempt = || async {
            calls.set(calls.get() + 1);
            Err::<u32, _>(lost())
        };
        let never = Patience::new(&CancellationToken::new(), 0);
        let found = || async { Ok(Some(7)) };
        let created = create(&never, attempt, found, |_| false).await.unwrap();
        assert_eq!((created, calls.get()), (7, 1));
    }

    #[test]
    fn max_retries_can_ask_for_more_tries_than_usual() {
        let tries = |max_retries| Patience::new(&CancellationToken::new(), max_retries).tries;
        assert_eq!((tries(1), tries(25)), (TRIES, 25));
    }

    #[tokio::test]
    async fn a_call_is_created_again_only_where_that_makes_sense() {
        for (failures, result) in [
            (vec![lost(), Failure::from_code("Throttling", "")], Ok(3)),
            (vec![Failure::from_code("InvalidParameterValue", "")], Err(1)),
            (vec![Failure::from_code("InvalidGroup.Duplicate", "")], Err(1)),
            // The first of these may have been answered by the call whose answer was lost.
            (vec![lost(), Failure::from_code("InvalidGroup.Duplicate", "")], Err(2)),
        ] {
            let calls = Cell::new(0);
            let attempt = || async {
                calls.set(calls.get() + 1);
                match failures.get(calls.get() - 1) {
                    Some(failure) => Err(failure.clone()),
                    None => Ok(calls.get()),
                }
            };
            let never = Patience::new(&CancellationToken::new(), 0);
            let created = create(&never, attempt, || async { Ok(None) }, |_| false).await;
            assert_eq!(created.map_err(|_| calls.get()), result, "{failures:?}");
        }
    }

    #[tokio::test]
    async fn a_name_is_somebody_elses_unless_an_answer_was_lost() {
        let duplicate = || Failure::from_code("InvalidAMIName.Duplicate", "");
        for (failures, kind) in [
            (vec![duplicate()], Kind::Taken),
            (vec![Failure::from_code("Throttling", ""), duplicate()], Kind::Taken),
            (vec![lost(), duplicate()], Kind::Refused),
        ] {
            let calls = Cell::new(0);
            let attempt = || async {
                calls.set(calls.get() + 1);
                Err::<u32, _>(failures[calls.get() - 1].clone())
            };
            let never = Patience::new(&CancellationToken::new(), 0);
            let created = create(&never, attempt, || async { Ok(None) }, |_| false).await;
            assert_eq!(created.unwrap_err().kind, kind, "{failures:?}");
        }
    }
}
