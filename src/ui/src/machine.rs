//! `-machine-readable`: one line per event, `timestamp,target,type,data…`.

use super::text::Level;

/// One line.
pub(super) fn line(target: Option<&str>, kind: &str, args: &[String]) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut line = format!("{now},{},{kind}", target.unwrap_or(""));
    for arg in args {
        line.push(',');
        line.push_str(&escape(arg));
    }
    line.push('\n');
    line
}

/// A line of what people would see. Packer leaves the target of these lines empty and names the
/// build in the text.
pub(super) fn ui(level: Level, text: &str) -> String {
    let word = match level {
        Level::Say => "say",
        Level::Error => "error",
    };
    line(None, "ui", &[word.to_owned(), text.to_owned()])
}

/// Commas and line ends would break the line; these stand for them, as in Packer.
fn escape(text: &str) -> String {
    text.replace(',', "%!(PACKER_COMMA)").replace('\r', "\\r").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn commas_and_line_ends_are_escaped() {
        assert_eq!(super::escape("a,b\nc"), "a%!(PACKER_COMMA)b\\nc");
    }
}
