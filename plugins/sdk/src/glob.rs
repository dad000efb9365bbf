//! File name patterns as Packer's templates write them: those of Go's `path/filepath`.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The files that match `pattern`, sorted within each directory.
///
/// # Errors
/// The pattern cannot be read.
pub fn find(pattern: &str) -> Result<Vec<PathBuf>> {
    // A name without special characters is not looked up in its directory, which may be unreadable.
    if !pattern.contains(['*', '?', '[', '\\']) {
        let path = Path::new(pattern);
        return Ok(if path.exists() { vec![path.to_owned()] } else { Vec::new() });
    }
    let options =
        glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    let pattern = compile(pattern).map_err(Error::new)?;
    let paths =
        glob::glob_with(&pattern, options).map_err(|error| Error::new(error.to_string()))?;
    // Directories that cannot be read hold no matches, as in Go.
    Ok(paths.filter_map(Result::ok).collect())
}

/// Translates a pattern of Go's into one of the glob library's and checks it: Go negates sets
/// with `^`, quotes with `\`, and has no `**`.
///
/// # Errors
/// What is wrong with it.
pub fn compile(pattern: &str) -> Result<String, String> {
    let complaint = |what: &str| format!("the pattern {pattern:?} cannot be read: {what}");
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let quoted = chars.next().ok_or_else(|| complaint("it ends in a backslash"))?;
                out.push_str(&glob::Pattern::escape(&quoted.to_string()));
            }
            '*' => {
                if !out.ends_with('*') {
                    out.push('*');
                }
            }
            '[' => {
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('!');
                } else if chars.peek() == Some(&'!') {
                    return Err(complaint("write [^…] for all characters except …"));
                }
                let mut closed = false;
                while let Some(member) = chars.next() {
                    if member == ']' {
                        closed = true;
                        break;
                    }
                    let member = match member {
                        '\\' => chars.next().ok_or_else(|| complaint("it ends in a backslash"))?,
                        member => member,
                    };
                    out.push(member);
                }
                if !closed || out.ends_with('[') || out.ends_with("[!") {
                    return Err(complaint("a [ is not closed"));
                }
                out.push(']');
            }
            c => out.push(c),
        }
    }
    glob::Pattern::new(&out).map_err(|error| complaint(error.msg))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_go_would_find() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for file in ["a.txt", "b.txt", ".hidden.txt", "c*d", "sub/e.txt", "sub/deep/f.txt"] {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            std::fs::write(root.join(file), "").unwrap();
        }
        let matches = |pattern: &str| -> Vec<String> {
            let found = find(&format!("{}/{pattern}", root.display())).unwrap();
            let relative = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
            found.iter().map(relative).collect()
        };
        assert_eq!(matches("*.txt"), [".hidden.txt", "a.txt", "b.txt"]);
        assert_eq!(matches("[^b].txt"), ["a.txt"]);
        assert_eq!(matches("?.txt"), ["a.txt", "b.txt"]);
        assert_eq!(matches("**/*.txt"), ["sub/e.txt"]);
        assert_eq!(matches("sub/*/f.txt"), ["sub/deep/f.txt"]);
        assert_eq!(matches(r"c\*d"), ["c*d"]);
        assert_eq!(matches("sub"), ["sub"]);
        assert_eq!(matches("nothing"), [""; 0]);
        assert_eq!(matches("nothing/*"), [""; 0]);
        assert!(find("[a").is_err());
        assert!(find("a\\").is_err());
    }
}
