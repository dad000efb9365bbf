//! What the interrupts of a run ask for, and what they leave to run.

use std::pin::pin;
use std::time::Duration;

use ingot_sdk::{Error, GoDuration, Result};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How long an error-cleanup-provisioner may still run once the build is interrupted. What the builder
/// itself cleans up waits for it, and whoever stops a run from outside does not wait for ever.
const CLEANUP_LIMIT: Duration = Duration::from_secs(5 * 60);

/// How long it has to stop then.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// What interrupts ask for. Clones share it.
#[derive(Clone, Debug)]
pub struct Interrupts {
    /// Fires with the first: everything must stop, and be cleaned up.
    pub cancel: CancellationToken,
    /// Fires with the second: error-cleanup-provisioners must stop, too.
    no_cleanup: CancellationToken,
    /// The builds whose error-cleanup-provisioner may yet run.
    cleanups: TaskTracker,
    limit: Duration,
}

impl Default for Interrupts {
    fn default() -> Self {
        Interrupts {
            cancel: CancellationToken::new(),
            no_cleanup: CancellationToken::new(),
            cleanups: TaskTracker::new(),
            limit: CLEANUP_LIMIT,
        }
    }
}

impl Interrupts {
    /// Counts a build whose error-cleanup-provisioner may run, until what is returned is dropped.
    pub(super) fn expect_cleanup(&self) -> TaskTrackerToken {
        self.cleanups.token()
    }

    /// Whether an error-cleanup-provisioner runs, or may yet run.
    pub fn expects_cleanup(&self) -> bool {
        !self.cleanups.is_empty() && !self.no_cleanup.is_cancelled()
    }

    /// Stops those that run, and lets no other begin.
    pub fn stop_cleanup(&self) {
        self.no_cleanup.cancel();
    }

    /// Runs an error-cleanup-provisioner, for as long as it may. `cancel` makes it stop.
    ///
    /// # Errors
    /// It failed, or was stopped.
    pub(super) async fn clean_up<T>(
        &self,
        cancel: &CancellationToken,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if self.no_cleanup.is_cancelled() {
            return Err(Error::new("it was not run, as the build was interrupted again"));
        }
        let mut work = pin!(work);
        let late = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(self.limit).await;
        };
        let why = tokio::select! {
            biased;
            ended = &mut work => return ended,
            () = self.no_cleanup.cancelled() => "the build was interrupted again".to_owned(),
            () = late => {
                format!("it still ran {} after the build was interrupted", GoDuration(self.limit))
            }
        };
        cancel.cancel();
        // What it says of that is not the reason.
        let _ = tokio::time::timeout(STOP_TIMEOUT, work).await;
        Err(Error::new(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work that ends only when it is cancelled.
    async fn clean_up(interrupts: &Interrupts) -> String {
        let cancel = CancellationToken::new();
        let work = async {
            cancel.cancelled().await;
            Err::<(), _>(Error::Cancelled)
        };
        interrupts.clean_up(&cancel, work).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn an_error_cleanup_is_bounded_once_the_build_is_interrupted() {
        let limit = Duration::from_millis(200);
        let interrupts = Interrupts { limit, ..Interrupts::default() };
        // A build that was not interrupted lets it run.
        let waited = tokio::time::timeout(limit * 3, clean_up(&interrupts)).await;
        assert!(waited.is_err());
        interrupts.cancel.cancel();
        let said = clean_up(&interrupts).await;
        assert_eq!(said, "it still ran 200ms after the build was interrupted");
    }

    #[tokio::test]
    async fn a_second_interrupt_ends_it() {
        let interrupts = Interrupts::default();
        assert!(!interrupts.expects_cleanup());
        let expected = interrupts.expect_cleanup();
        assert!(interrupts.expects_cleanup());
        interrupts.cancel.cancel();
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            interrupts.stop_cleanup();
        };
        let (said, ()) = tokio::join!(clean_up(&interrupts), stopping);
        assert_eq!(said, "the build was interrupted again");
        assert!(clean_up(&interrupts).await.contains("not run"));
        // The next one ends the process.
        assert!(!interrupts.expects_cleanup());
        drop(expected);
    }
}
