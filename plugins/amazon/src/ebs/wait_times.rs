//! How often to look, where `aws_polling` does not say.

use std::time::Duration;

use ingot_sdk::retry::Retry;

use crate::polling::PollingOptions;

/// How long a machine may take to start or stop; AWS's own tools wait as long.
pub(super) const MACHINE: Duration = Duration::from_secs(10 * 60);
/// How long an AMI may take: Packer's limit.
pub(crate) const IMAGE: Duration = Duration::from_secs(30 * 60);
/// How long the import of a disk may take: Packer's limit.
const IMPORT: Duration = Duration::from_secs(60 * 60);
/// How long EC2 may take to prepare fast launching, for which it starts instances: Packer's limit.
pub(super) const FAST_LAUNCH: Duration = Duration::from_secs(125 * 60);

/// How often and how long to poll, and which option says so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Polling {
    /// How often and how long.
    pub retry: Retry,
    /// What the user can do who needs more time.
    pub hint: &'static str,
}

/// What gives most waits more time.
const POLLING: &str = "give it more time with a larger max_attempts, and delay_seconds, in \
                       aws_polling (or AWS_MAX_ATTEMPTS and AWS_POLL_DELAY_SECONDS)";

/// For what takes seconds.
pub(super) fn quick(polling: &PollingOptions, limit: Duration) -> Polling {
    Polling {
        retry: polling.retry(Duration::from_secs(2), Duration::from_secs(15), limit),
        hint: POLLING,
    }
}

/// For an import, of which Packer looks every five seconds for an hour.
pub(crate) fn import(polling: &PollingOptions) -> Polling {
    let retry = polling.retry(Duration::from_secs(5), Duration::from_secs(15), IMPORT);
    Polling { retry, hint: POLLING }
}

/// For what takes minutes.
pub(crate) fn slow(polling: &PollingOptions, limit: Duration) -> Polling {
    Polling {
        retry: polling.retry(Duration::from_secs(5), Duration::from_secs(30), limit),
        hint: POLLING,
    }
}
