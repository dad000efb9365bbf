//! Waiting for servers, though not for ever.

use std::time::Duration;

use ingot_sdk::error::IntoError;
use ingot_sdk::{Error, Result};

/// A server that sends nothing for this long has died.
const STALL: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

/// Waits for what a server sends next.
///
/// # Errors
/// It sends nothing for a minute, or the connection broke.
pub(super) async fn unless_stalled<T>(sent: impl Future<Output = reqwest::Result<T>>) -> Result<T> {
    match tokio::time::timeout(STALL, sent).await {
        Ok(sent) => sent.map_err(IntoError::into_error),
        Err(_) => {
            Err(Error::new(format!("the server sent nothing for {} seconds", STALL.as_secs())))
        }
    }
}
