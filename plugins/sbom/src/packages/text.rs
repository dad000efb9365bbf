//! Reading text that many tools write.

use crate::json::{self, OnField};

/// Reads a file that is JSON.
///
/// # Errors
/// It is not.
pub(super) fn read_json<'de, F: OnField<'de>>(text: &'de str, fields: F) -> Result<F, String> {
    json::read(text.as_bytes(), fields).map_err(|error| format!("it is not valid JSON: {error}"))
}

/// Text that says something.
pub(super) fn some(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
