//! Quoting for the shells that commands are handed to.

use std::borrow::Cow;

/// Quotes `word` for a POSIX shell, leaving plain words as they are.
pub fn quote(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

/// Quotes a path on a machine for its shell. As in Packer, `~` at the start and `$NAME` are left to
/// the shell, in commands as in uploads; everything else stands for itself.
pub fn quote_path(path: &str) -> String {
    quote_path_but(path, "")
}

/// The same for a path in which `*`, `?` and `[a-z]` stand for parts of names: the shell puts the names
/// in their place that there are.
pub fn quote_pattern(path: &str) -> String {
    quote_path_but(path, "*?[]")
}

/// Quotes a path on a machine for its POSIX shell so that all of it stands for itself, `~` and `$NAME` too.
pub fn quote_literal_path(path: &str) -> String {
    let here = if path.starts_with(['-', '~']) { "./" } else { "" };
    format!("{here}{}", quote(path))
}

fn quote_path_but(path: &str, special: &str) -> String {
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
            // `[!a]` is what is not an `a`.
            '!' if special.contains('[') && path[..index].ends_with('[') => text.push(c),
            _ if plain(c) || special.contains(c) => text.push(c),
            _ => {
                text.push('\\');
                text.push(c);
            }
        }
    }
    text
}

/// Whether all that a tar that packed said, in English, is of files that changed or went away meanwhile.
/// GNU's then ends with code 1, and the archive is whole.
pub fn only_changed_while_packed(said: &str) -> bool {
    let changed = |line: &str| {
        let line = line.to_ascii_lowercase();
        line.ends_with("file changed as we read it")
            || line.ends_with("file removed before we read it")
            || line.ends_with("socket ignored")
    };
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    lines.peek().is_some() && lines.all(changed)
}

#[cfg(test)]
mod tests {
    use super::{only_changed_while_packed, quote, quote_literal_path, quote_path, quote_pattern};

    #[test]
    fn quotes_only_what_needs_it() {
        assert_eq!(quote("/tmp/script_1.sh"), "/tmp/script_1.sh");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn what_tar_says_of_changes_is_no_failure() {
        let changed =
            "tar: ./log: file changed as we read it\ntar: ./x: File removed before we read it\n";
        assert!(only_changed_while_packed(changed));
        assert!(!only_changed_while_packed(""));
        let failed = format!("{changed}tar: ./y: Cannot open: Permission denied\n");
        assert!(!only_changed_while_packed(&failed));
    }

    #[test]
    fn shells_see_paths_as_meant() {
        assert_eq!(quote_path("/tmp/a b"), "/tmp/a\\ b");
        assert_eq!(quote_path("~/x;y"), "~/x\\;y");
        assert_eq!(quote_path("$HOME/it's"), "$HOME/it\\'s");
        assert_eq!(quote_path("${HOME}/a{b,c}"), "${HOME}/a\\{b,c}");
        assert_eq!(quote_path("/x*[a]?"), "/x\\*\\[a\\]\\?");
        assert_eq!(quote_pattern("~/a b/x*[a-c]?"), "~/a\\ b/x*[a-c]?");
        assert_eq!(quote_pattern("/x[!a]!"), "/x[!a]\\!");
        assert_eq!(quote_path("-rf"), "./-rf");
        assert_eq!(quote_literal_path("$HOME/${x}"), "'$HOME/${x}'");
        assert_eq!(quote_literal_path("~x"), "./'~x'");
        assert_eq!(quote_literal_path("-rf"), "./-rf");
        assert_eq!(quote_literal_path("/tmp/a b"), "'/tmp/a b'");
        assert_eq!(quote_path("a~"), "a\\~");
        assert_eq!(quote_path("C:\\Program Files\\x"), "\"C:\\Program Files\\x\"");
    }
}
