//! What can go wrong in a template.

/// Why a template could not be parsed or rendered: what is wrong, where, and in which template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

impl Error {
    /// An error about the byte `at` of `template`.
    fn at(template: &str, at: usize, message: &str) -> Self {
        let at = at.min(template.len());
        let before = template.get(..at).unwrap_or(template);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_number = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        let line = template[line_start..].lines().next().unwrap_or_default();
        // A long line is shown around the place that matters.
        let shown: String = if line.chars().count() <= 100 {
            line.to_owned()
        } else {
            let from = column.saturating_sub(40);
            let middle: String = line.chars().skip(from).take(100).collect();
            let (start, end) = (if from > 0 { "…" } else { "" }, "…");
            format!("{start}{middle}{end}")
        };
        let place = if template.contains('\n') {
            format!("line {line_number}, column {column}")
        } else {
            format!("column {column}")
        };
        Error(format!("{message} (at {place} of the template `{shown}`)"))
    }
}

/// What went wrong at a byte of the template; becomes an [`Error`] once the template is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    at: usize,
    message: String,
}

impl Fault {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Fault { at, message: message.into() }
    }

    /// The error in `template`.
    pub(crate) fn within(self, template: &str) -> Error {
        Error::at(template, self.at, &self.message)
    }
}
