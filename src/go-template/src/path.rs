//! Paths as text, as Go shortens them.

/// A path in its shortest form, by its text alone: without `.`, `name/..` and double slashes.
pub fn clean_path(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", None) if absolute => {}
            ("..", Some(&last)) if last != ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::clean_path;

    #[test]
    fn paths_are_as_short_as_those_of_go() {
        for (path, short) in [
            ("", "."),
            (".", "."),
            ("./down/word", "down/word"),
            ("./down//word", "down/word"),
            ("down/../word", "word"),
            ("../word", "../word"),
            ("a/../../word", "../word"),
            ("/", "/"),
            ("/../word", "/word"),
        ] {
            assert_eq!(clean_path(path), short, "{path:?}");
        }
    }
}
