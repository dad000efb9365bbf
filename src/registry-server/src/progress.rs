//! Whether the server's own work goes on: what it does without being asked is missed by nobody at once.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use ingot_registry::api::{Code, Error, Result};

/// How long a round may take. Each ends within seconds, but a large family that is revoked takes
/// minutes.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How long to wait before what could not be created is tried again.
pub(crate) const AGAIN: Duration = Duration::from_secs(60);

/// A part of the server's own work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BackgroundTask {
    Revocations,
    SilentBuilds,
    Audit,
    RunTasks,
    Webhooks,
}

/// What they are called, in their order.
const NAMES: [&str; 5] = [
    "scheduled revocations",
    "builds without a heartbeat",
    "old lines of the audit log",
    "run tasks",
    "webhooks",
];

/// When the last round of each ended, well or not: what went wrong is in the log, and is tried again.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<[Instant; NAMES.len()]>);

impl Default for Progress {
    fn default() -> Self {
        Progress(Mutex::new([Instant::now(); NAMES.len()]))
    }
}

impl Progress {
    /// A round has ended.
    pub(crate) fn round(&self, task: BackgroundTask) {
        self.0.lock()[task as usize] = Instant::now();
    }

    /// What `create` returns, which is tried until it succeeds, with `pause` in between. Without it nothing
    /// can be done, but a restart would not help, so each try is a round.
    pub(crate) async fn until_created<T>(
        &self,
        task: BackgroundTask,
        pause: Duration,
        create: impl Fn() -> ingot_base::Result<T>,
    ) -> T {
        loop {
            match create() {
                Ok(created) => return created,
                Err(error) => {
                    let wait = pause.as_secs();
                    let name = NAMES[task as usize];
                    tracing::error!(%error, "{name} must wait; next try in {wait} seconds");
                }
            }
            self.round(task);
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether all of it goes on.
    ///
    /// # Errors
    /// What has not ended a round for too long.
    pub(crate) fn check(&self, now: Instant) -> Result<()> {
        let last = *self.0.lock();
        let stuck = NAMES.iter().zip(last).find(|(_, last)| now.duration_since(*last) > LONGEST);
        match stuck {
            None => Ok(()),
            Some((name, _)) => Err(Error::new(
                Code::Unavailable,
                format!("{name} have not been looked at for 15 minutes; restart the server"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_does_not_go_on_is_told() {
        let progress = Progress::default();
        let now = Instant::now();
        progress.check(now).expect("all of it has begun");
        let later = now + LONGEST + Duration::from_secs(1);
        for task in [
            BackgroundTask::SilentBuilds,
            BackgroundTask::Audit,
            BackgroundTask::RunTasks,
            BackgroundTask::Webhooks,
        ] {
            progress.0.lock()[task as usize] = later;
        }
        let error = progress.check(later).expect_err("one does not go on");
        assert!(error.message.starts_with("scheduled revocations have not"), "{error}");
        progress.0.lock()[BackgroundTask::Revocations as usize] = later;
        progress.check(later).expect("it goes on");
    }

    /// As where no certificates are installed yet.
    #[tokio::test]
    async fn what_waits_for_its_client_goes_on() {
        let progress = Progress::default();
        let start = Instant::now();
        let tries = std::cell::Cell::new(0);
        let create = || {
            tries.set(tries.get() + 1);
            match tries.get() {
                3 => Ok("a client"),
                _ => Err(ingot_base::Error::new("no certificates")),
            }
        };
        let pause = Duration::from_millis(1);
        let created = progress.until_created(BackgroundTask::Webhooks, pause, create).await;
        assert_eq!((created, tries.get()), ("a client", 3));
        assert!(progress.0.lock()[BackgroundTask::Webhooks as usize] > start, "a try is no round");
    }
}
