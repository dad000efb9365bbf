//! The user's home directory.

use std::path::PathBuf;

/// The home directory: `HOME`, or without it, as a service may be, that of the user's entry in
/// `/etc/passwd`.
pub fn home_dir() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// `path` with the home directory for a `~` at its start, as shells have it. It stays as it is where
/// there is none, and where `~` is the beginning of a name.
pub fn expanded(path: &str) -> PathBuf {
    let rest = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    match rest.and_then(|rest| Some((home_dir()?, rest.trim_start_matches('/')))) {
        Some((home, "")) => home,
        Some((home, rest)) => home.join(rest),
        None => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_directory() {
        let home = home_dir().unwrap();
        for (path, expanded_to) in [
            ("~", home.clone()),
            ("~/a/b", home.join("a/b")),
            ("~//a", home.join("a")),
            ("~a/b", "~a/b".into()),
            ("a/~/b", "a/~/b".into()),
            ("/a", "/a".into()),
            ("", "".into()),
        ] {
            assert_eq!(expanded(path), expanded_to, "{path}");
        }
    }
}
