//! What can go wrong in `{{ }}`.

use crate::error::LibraryError;

/// Why a template could not be parsed or rendered: what is wrong, where, and in which template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

impl LibraryError for Error {}

impl From<ingot_go_template::Error> for Error {
    fn from(error: ingot_go_template::Error) -> Self {
        Error(error.0)
    }
}
