//! Paths on the machine, as its shell takes them.

use ingot_sdk::command::quote;

/// A script for the Bourne shell, whatever the user's own shell is.
pub(crate) fn sh(script: &str) -> String {
    format!("sh -c {}", quote(script))
}

/// The directory and name of `path`; the directory is `.` where there is none.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    let (directory, name) = match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some(both) => both,
        None => (".", path),
    };
    (!matches!(name, "" | "." | "..")).then_some((directory, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_and_name() {
        assert_eq!(split("/tmp/x"), Some(("/tmp", "x")));
        assert_eq!(split("/x"), Some(("/", "x")));
        assert_eq!(split("x"), Some((".", "x")));
        assert_eq!(split("/tmp/"), None);
    }
}
