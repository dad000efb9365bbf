//! What went wrong with a page.

use ingot_registry::api::Error;

/// An error of a page. It is an answer without the header, which
/// [`frame`](super::error_page::frame) puts around it.
#[derive(Debug, Clone)]
pub(super) struct Problem(pub(super) Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem(error)
    }
}

/// A message as a sentence: they are made without a capital letter and a full stop.
pub(super) fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|char| char.to_uppercase().to_string()).unwrap_or_default();
    let rest = chars.as_str();
    let stop = if rest.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{rest}{stop}")
}
