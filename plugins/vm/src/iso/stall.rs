//! Waiting for servers, though not for ever.

use std::time::Duration;

use ingot_sdk::{Result, http};

/// A server that sends nothing for this long has died.
pub(super) const STALL: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

/// Waits for what a server sends next.
///
/// # Errors
/// It sends nothing for a minute, or the connection broke.
pub(super) async fn unless_stalled<T>(sent: impl Future<Output = reqwest::Result<T>>) -> Result<T> {
    http::unless_stalled(STALL, sent).await
}
