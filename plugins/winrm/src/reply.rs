//! What comes back for a message over HTTP, or why nothing does.

use ingot_sdk::error::{IntoError, causes};
use ingot_sdk::http::{self, is_bad_certificate};
use reqwest::StatusCode;

use crate::failure::Failure;

/// The largest answer that is read, in bytes. A service is asked for far smaller ones.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// What comes back for a message.
pub(crate) struct Reply {
    /// HTTP's status.
    pub(crate) status: StatusCode,
    /// The answer.
    pub(crate) text: String,
}

/// All of a response's body.
///
/// # Errors
/// The connection broke, or the body is larger than any answer.
pub(crate) async fn body(response: reqwest::Response) -> Result<Vec<u8>, Failure> {
    let body = http::bounded(response, LARGEST_ANSWER).await.map_err(network)?;
    body.ok_or_else(|| {
        let text = format!("the response is larger than {} MiB", LARGEST_ANSWER >> 20);
        Failure::Unreadable(text)
    })
}

/// What a failure to get an answer is.
pub(crate) fn network(error: reqwest::Error) -> Failure {
    if error.is_timeout() && !error.is_connect() {
        return Failure::Silence;
    }
    if error.is_builder() {
        let text = error.into_error().context("making a request").to_string();
        return Failure::Request(text);
    }
    // The outermost message only says that a request failed; the innermost says why.
    let why = causes(&error).skip(1).last().map(ToString::to_string);
    match why {
        Some(why) if is_bad_certificate(&error) => Failure::Certificate(why),
        Some(why) => Failure::Network(why),
        None => Failure::Network(error.into_error().context("HTTP").to_string()),
    }
}
