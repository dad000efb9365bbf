//! The script that prints a machine's package databases, and what it printed.

use std::borrow::Cow;
use std::iter::Peekable;

/// The script. It takes any arguments; the last is the directory to look in.
pub const SCRIPT: &str = include_str!("collector.sh");

/// The first line of its output.
const HEADER: &[u8] = b"INGOT-PACKAGES 2";

/// The most that is kept of one file, in bytes. The script leaves larger ones out itself.
pub(crate) const LARGEST_FILE: usize = 64 << 20;

/// The most that is kept of one section, in bytes. The script leaves larger ones out itself.
const LARGEST_SECTION: usize = 1 << 20;

/// Something that the script printed.
#[derive(Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The directory that was looked in.
    Root(Cow<'a, str>),
    /// A file: its path, and what is in it; nothing where that is more than 64 MiB.
    File(Cow<'a, str>, Option<String>),
    /// A package of rpm.
    Rpm(Cow<'a, str>),
    /// A Go program, and its section `.go.buildinfo`.
    GoProgram(Cow<'a, str>, Vec<u8>),
    /// A Rust program, and its section `.dep-v0`.
    RustProgram(Cow<'a, str>, Vec<u8>),
    /// What could not be read.
    Note(Cow<'a, str>),
}

/// What the script printed, one file after the other, so that only one is in memory twice.
pub struct Records<'a, L: Iterator<Item = &'a [u8]>>(Peekable<L>);

/// Reads the script's output; none if this is the output of something else.
pub fn records(output: &[u8]) -> Option<Records<'_, impl Iterator<Item = &[u8]>>> {
    let mut lines = output.split(|&byte| byte == b'\n').peekable();
    lines.next().filter(|line| *line == HEADER)?;
    Some(Records(lines))
}

impl<'a, L: Iterator<Item = &'a [u8]>> Records<'a, L> {
    /// The lines of the file whose path was read last.
    fn text(&mut self) -> Option<String> {
        let mut text = Some(String::new());
        while let Some(line) = self.0.next_if(|line| line.first() == Some(&b' ')) {
            let line = String::from_utf8_lossy(&line[1..]);
            if let Some(text) = text.as_mut().filter(|it| it.len() + line.len() < LARGEST_FILE) {
                text.push_str(&line);
                text.push('\n');
            } else {
                text = None;
            }
        }
        text
    }

    /// The bytes of the section whose program was read last, in hexadecimal.
    fn section(&mut self) -> Vec<u8> {
        let mut section = Vec::new();
        while let Some(line) = self.0.next_if(|line| line.first() == Some(&b' ')) {
            let bytes = line.split(|byte| *byte == b' ').filter(|byte| byte.len() == 2);
            let bytes = bytes.filter_map(|byte| std::str::from_utf8(byte).ok());
            let bytes = bytes.filter_map(|byte| u8::from_str_radix(byte, 16).ok());
            section.extend(bytes.take(LARGEST_SECTION - section.len()));
        }
        section
    }
}

impl<'a, L: Iterator<Item = &'a [u8]>> Iterator for Records<'a, L> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        loop {
            let (kind, rest) = self.0.next()?.split_first_chunk().unwrap_or((b" ", &[]));
            let rest = String::from_utf8_lossy(rest.strip_prefix(b" ").unwrap_or(rest));
            return Some(match kind {
                b"D" => Record::Root(rest),
                b"F" => {
                    let text = self.text();
                    Record::File(rest, text)
                }
                b"R" => Record::Rpm(rest),
                b"G" => Record::GoProgram(rest, self.section()),
                b"C" => Record::RustProgram(rest, self.section()),
                b"N" => Record::Note(rest),
                _ => continue,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_script_prints() {
        let output = "INGOT-PACKAGES 2\nD /\nF /etc/os release\n ID=x\n \n F /not\nN no rpm\nR a\t\t1\n\
                      F /b\n é\nG /bin/x\n  ff 20\n  47\n";
        let found: Vec<Record<'_>> = records(output.as_bytes()).unwrap().collect();
        let wanted = [
            Record::Root("/".into()),
            Record::File("/etc/os release".into(), Some("ID=x\n\nF /not\n".into())),
            Record::Note("no rpm".into()),
            Record::Rpm("a\t\t1".into()),
            Record::File("/b".into(), Some("é\n".into())),
            Record::GoProgram("/bin/x".into(), vec![0xff, 0x20, 0x47]),
        ];
        assert_eq!(found, wanted);
        assert!(records(b"{}").is_none());
    }

    /// A function of the script.
    fn function(name: &str) -> &'static str {
        let start = SCRIPT.find(&format!("\n{name}() {{\n")).unwrap();
        let text = &SCRIPT[start..];
        &text[..text.find("\n}\n").unwrap() + "\n}\n".len()]
    }

    #[test]
    fn all_quotes_around_what_cannot_be_read_are_known() {
        let (unreadable, errors_of) = (function("unreadable"), function("errors_of"));
        let script =
            format!("user=me\n{unreadable}{errors_of}printf '%s\\n' \"$1\" | errors_of find files");
        for quoted in ["/root", "'/root'", "`/root'"] {
            let error = format!("find: {quoted}: Permission denied");
            let mut shell = std::process::Command::new("sh");
            let run = shell.args(["-c", &script, "sh", &error]).output().unwrap();
            let said = String::from_utf8_lossy(&run.stdout);
            assert_eq!(said, "N /root cannot be read by me and is skipped\n", "{quoted}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_not_kept() {
        let line = format!(" {}\n", "x".repeat(1023));
        let lines = line.repeat(LARGEST_FILE / 1024 + 1);
        let output = format!("INGOT-PACKAGES 2\nF /a\n{lines}F /b\n b\n");
        let found: Vec<Record<'_>> = records(output.as_bytes()).unwrap().collect();
        assert!(matches!(&found[0], Record::File(path, None) if path == "/a"));
        assert_eq!(found[1], Record::File("/b".into(), Some("b\n".into())));
    }
}
