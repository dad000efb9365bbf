//! How often to look, where `aws_polling` does not say.

use std::time::Duration;

use ingot_sdk::retry::Retry;

use crate::polling::PollingOptions;

/// How long a machine may take to start or stop; AWS's own tools wait as long.
pub const MACHINE: Duration = Duration::from_secs(10 * 60);
/// How long an AMI may take: Packer's limit.
pub const IMAGE: Duration = Duration::from_secs(30 * 60);

/// For what takes seconds.
pub fn quick(polling: &PollingOptions, limit: Duration) -> Retry {
    polling.retry(Duration::from_secs(2), Duration::from_secs(15), limit)
}

/// For what takes minutes.
pub fn slow(polling: &PollingOptions, limit: Duration) -> Retry {
    polling.retry(Duration::from_secs(5), Duration::from_secs(30), limit)
}
