//! Text for PowerShell.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What PowerShell takes for a single quote: the plain one and the typographic ones.
const SINGLE_QUOTES: [char; 5] = ['\'', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'];
/// What PowerShell takes for a double quote.
const DOUBLE_QUOTES: [char; 4] = ['"', '\u{201c}', '\u{201d}', '\u{201e}'];

/// A string that stands for exactly `text`, in single quotes.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        if SINGLE_QUOTES.contains(&c) {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

/// `text` for the inside of a string in double quotes, where nothing in it is expanded. Single
/// quotes are escaped too, as Packer does; in double quotes that changes nothing.
pub fn escape(text: &str) -> String {
    let special = |c: char| {
        matches!(c, '$' | '`') || SINGLE_QUOTES.contains(&c) || DOUBLE_QUOTES.contains(&c)
    };
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if special(c) {
            escaped.push('`');
        }
        escaped.push(c);
    }
    escaped
}

/// A command line, safe in any shell, that runs `script` with `program`: `powershell` or `pwsh`.
/// Progress records, which would look like errors, are turned off.
pub fn command(program: &str, script: &str) -> String {
    let script = format!("$ProgressPreference = 'SilentlyContinue'; {script}");
    let utf16: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    format!("{program} -NoProfile -NonInteractive -EncodedCommand {}", STANDARD.encode(utf16))
}

/// `text` as the bytes of a script file. Windows PowerShell takes a file for one in the system's
/// old code page unless it starts with a byte order mark.
pub fn file(text: &str) -> Vec<u8> {
    let mark: &[u8] = if text.is_ascii() { b"" } else { b"\xef\xbb\xbf" };
    [mark, text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_of_all_kinds_are_escaped() {
        assert_eq!(quote("it's \u{2019} $x"), "'it''s \u{2019}\u{2019} $x'");
        assert_eq!(escape("a$b\"c`d'e\u{201d}"), "a`$b`\"c``d`'e`\u{201d}");
    }

    #[test]
    fn encoded_commands_hold_the_script() {
        let line = command("pwsh", "echo 'é'");
        let (program, encoded) = line.rsplit_once(' ').unwrap();
        assert_eq!(program, "pwsh -NoProfile -NonInteractive -EncodedCommand");
        let bytes = STANDARD.decode(encoded).unwrap();
        let units: Vec<u16> =
            bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let script = String::from_utf16(&units).unwrap();
        assert!(script.ends_with("; echo 'é'"), "{script}");
    }

    #[test]
    fn only_files_that_need_a_mark_have_one() {
        assert_eq!(file("echo a"), b"echo a");
        assert_eq!(file("é"), b"\xef\xbb\xbf\xc3\xa9");
    }
}
