//! Paths on the machine, as its shell takes them.

use ingot_sdk::command::quote;

/// `path` for a shell's command line. As in Packer, `~` at the start and `$NAME` are left to the
/// shell; everything else stands for itself.
pub(crate) fn for_shell(path: &str) -> String {
    // A Windows machine's shell does not know backslash escapes, and its paths are full of them.
    let windows = path.as_bytes().get(1) == Some(&b':') && path.contains('\\');
    if windows {
        return if path.contains(' ') { format!("\"{path}\"") } else { path.to_owned() };
    }
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%^~$}".contains(c);
    let mut text = String::with_capacity(path.len() + 2);
    if path.starts_with('-') {
        text.push_str("./");
    }
    for (index, c) in path.char_indices() {
        match c {
            '\n' => text.push_str("'\n'"),
            '~' if index > 0 => text.push_str("\\~"),
            '{' if path[..index].ends_with('$') => text.push(c),
            _ if plain(c) => text.push(c),
            _ => {
                text.push('\\');
                text.push(c);
            }
        }
    }
    text
}

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
    fn shells_see_paths_as_meant() {
        assert_eq!(for_shell("/tmp/a b"), "/tmp/a\\ b");
        assert_eq!(for_shell("~/x;y"), "~/x\\;y");
        assert_eq!(for_shell("$HOME/it's"), "$HOME/it\\'s");
        assert_eq!(for_shell("${HOME}/a{b,c}"), "${HOME}/a\\{b,c}");
        assert_eq!(for_shell("-rf"), "./-rf");
        assert_eq!(for_shell("a~"), "a\\~");
        assert_eq!(for_shell("C:\\Program Files\\x"), "\"C:\\Program Files\\x\"");
    }

    #[test]
    fn directory_and_name() {
        assert_eq!(split("/tmp/x"), Some(("/tmp", "x")));
        assert_eq!(split("/x"), Some(("/", "x")));
        assert_eq!(split("x"), Some((".", "x")));
        assert_eq!(split("/tmp/"), None);
    }
}
