//! Errors of libraries.

use ingot_sdk::Error;

/// Converts a library's error, with what was being done before it.
pub(crate) fn when<E: std::error::Error + Send + Sync + 'static>(
    doing: impl std::fmt::Display,
) -> impl FnOnce(E) -> Error {
    move |error| Error::caused_by(error).context(doing)
}
