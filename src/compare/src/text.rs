//! Differences for people: a line for each, with `+`, `-` and `~` before it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::changes::{Change, Changes};
use crate::image::{Difference, FileEntry, FileType};

/// The differences. `size` writes a number of bytes.
pub fn render(difference: &Difference, size: &dyn Fn(u64) -> String) -> String {
    let mut text = format!("--- {}\n+++ {}\n", difference.before, difference.after);
    if let Some(change) = &difference.size {
        let _ = match change.before == change.after {
            true => writeln!(text, "\nSize: {}", size(change.before)),
            false => writeln!(text, "\nSize: {}", changed_size(change, size)),
        };
    }
    let plain = |value: &String| value.clone();
    let pair = |change: &Change<String>| format!("{} → {}", change.before, change.after);
    if let Some(changes) = &difference.config {
        section(&mut text, "Config", changes, "=", &plain, &pair);
    }
    if let Some(changes) = &difference.packages {
        section(&mut text, "Packages", changes, "", &plain, &pair);
    }
    if let Some(changes) = &difference.files {
        let one = |file: &FileEntry| file_in_words(file, size);
        section(&mut text, "Files", changes, "", &one, &|change| file_change(change, size));
    }
    if !difference.notes.is_empty() {
        text.push('\n');
    }
    for note in &difference.notes {
        let _ = writeln!(text, "note: {}", shown(note));
    }
    text
}

fn changed_size(change: &Change<u64>, size: &dyn Fn(u64) -> String) -> String {
    let (sign, by) = match change.after > change.before {
        true => ("+", change.after - change.before),
        false => ("-", change.before - change.after),
    };
    format!("{} → {} ({sign}{})", size(change.before), size(change.after), size(by))
}

fn section<T>(
    text: &mut String,
    title: &str,
    changes: &Changes<T>,
    equals: &str,
    one: &dyn Fn(&T) -> String,
    change: &dyn Fn(&Change<T>) -> String,
) {
    let _ = writeln!(text, "\n{title}: {}", changes.counts());
    let mut lines: Vec<(&str, char, String)> = Vec::new();
    lines.extend(changes.added.iter().map(|(key, value)| (key.as_str(), '+', one(value))));
    lines.extend(changes.removed.iter().map(|(key, value)| (key.as_str(), '-', one(value))));
    lines.extend(changes.changed.iter().map(|(key, value)| (key.as_str(), '~', change(value))));
    lines.sort_by(|a, b| a.0.cmp(b.0));
    for (key, sign, value) in lines {
        let (key, value) = (shown(key), shown(&value));
        let equals = if equals.is_empty() { String::new() } else { format!("{equals} ") };
        let _ = writeln!(text, "  {sign} {}", format!("{key} {equals}{value}").trim_end());
    }
}

/// A text that a terminal shows and does not obey.
fn shown(text: &str) -> String {
    let plain = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(plain).collect()
}

fn type_name(file_type: FileType) -> &'static str {
    match file_type {
        FileType::File => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Pipe => "pipe",
    }
}

fn file_in_words(file: &FileEntry, size: &dyn Fn(u64) -> String) -> String {
    let what = match (&file.link, file.size) {
        (Some(link), _) => format!("link to {link}"),
        (None, Some(bytes)) => size(bytes),
        (None, None) => match file.device {
            Some(device) => format!("{} {device}", type_name(file.file_type)),
            None => type_name(file.file_type).to_owned(),
        },
    };
    let mut words = format!("{what}, {:04o}, {}:{}", file.mode, file.uid, file.gid);
    for (name, value) in &file.xattrs {
        let _ = write!(words, ", {name} {}", brief(value));
    }
    format!("({words})")
}

/// The beginning of a long value.
fn brief(value: &str) -> String {
    const LONGEST: usize = 200;
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn file_change(change: &Change<FileEntry>, size: &dyn Fn(u64) -> String) -> String {
    let (before, after) = (&change.before, &change.after);
    let mut parts = Vec::new();
    if before.file_type != after.file_type {
        let types = (type_name(before.file_type), type_name(after.file_type));
        parts.push(format!("{} → {}", types.0, types.1));
    }
    if before.link != after.link
        && let (Some(before), Some(after)) = (&before.link, &after.link)
    {
        parts.push(format!("leads to {before} → {after}"));
    }
    if before.sha256 != after.sha256 {
        parts.push(match (before.size, after.size) {
            (Some(before), Some(after)) if before != after => {
                format!("content, {} → {}", size(before), size(after))
            }
            _ => "content".to_owned(),
        });
    }
    if before.mode != after.mode {
        parts.push(format!("mode {:04o} → {:04o}", before.mode, after.mode));
    }
    if (before.uid, before.gid) != (after.uid, after.gid) {
        let (a, b) = (before, after);
        parts.push(format!("owner {}:{} → {}:{}", a.uid, a.gid, b.uid, b.gid));
    }
    if let (Some(before), Some(after)) = (before.device, after.device)
        && before != after
    {
        parts.push(format!("device {before} → {after}"));
    }
    let names: BTreeSet<&String> = before.xattrs.keys().chain(after.xattrs.keys()).collect();
    for name in names {
        let (one, other) = (before.xattrs.get(name), after.xattrs.get(name));
        let shown = |value: Option<&String>| value.map_or("none".to_owned(), |one| brief(one));
        if one != other {
            parts.push(format!("{name} {} → {}", shown(one), shown(other)));
        }
    }
    format!("({})", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Image, compare};

    fn file(mode: u32, content: &str) -> FileEntry {
        FileEntry {
            file_type: FileType::File,
            mode,
            uid: 0,
            gid: 0,
            size: Some(content.len() as u64),
            link: None,
            sha256: Some(content.to_owned()),
            device: None,
            xattrs: Default::default(),
        }
    }

    #[test]
    fn each_difference_is_a_line() {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let one = Image {
            name: "web:1".into(),
            size: Some(10),
            config: Some(pairs(&[("cmd", "sh"), ("env A", "1")])),
            packages: Some(pairs(&[("deb curl", "7.1"), ("deb vim", "9")])),
            files: Some(
                [
                    ("/a".to_owned(), file(0o644, "x")),
                    ("/b".to_owned(), file(0o755, "y")),
                    ("/same".to_owned(), file(0o644, "z")),
                ]
                .into(),
            ),
            notes: vec!["/x is skipped".into()],
        };
        let link = FileEntry {
            file_type: FileType::Symlink,
            link: Some("/b\u{1b}[31m".into()),
            size: None,
            sha256: None,
            ..file(0o777, "")
        };
        let two = Image {
            name: "web:2".into(),
            size: Some(14),
            config: Some(pairs(&[("cmd", "nginx"), ("env A", "1"), ("label x", "y")])),
            packages: Some(pairs(&[("deb curl", "7.2")])),
            files: Some(
                [
                    ("/b".to_owned(), FileEntry { uid: 5, ..file(0o700, "yes") }),
                    ("/c".to_owned(), link),
                    ("/same".to_owned(), file(0o644, "z")),
                ]
                .into(),
            ),
            notes: vec!["/\u{1b}y is skipped".into()],
        };
        let difference = compare(&one, &two);
        assert!(!difference.same);
        let text = render(&difference, &|bytes| format!("{bytes} B"));
        let expected = "--- web:1\n+++ web:2\n\nSize: 10 B → 14 B (+4 B)\n\nConfig: 1 added, 1 changed\n  \
                        ~ cmd = sh → nginx\n  + label x = y\n\nPackages: 1 removed, 1 changed\n  \
                        ~ deb curl 7.1 → 7.2\n  - deb vim 9\n\nFiles: 1 added, 1 removed, 1 changed\n  \
                        - /a (1 B, 0644, 0:0)\n  ~ /b (content, 1 B → 3 B; mode 0755 → 0700; owner 0:0 → \
                        5:0)\n  + /c (link to /b\\u{1b}[31m, 0777, 0:0)\n\nnote: web:1: /x is skipped\n\
                        note: web:2: /\\u{1b}y is skipped\n";
        assert_eq!(text, expected);
        let same = compare(&one, &one);
        assert!(same.same && same.compared.len() == 4);
        assert_eq!(same.notes, ["web:1: /x is skipped"]);
        let unknown = compare(&one, &Image { files: None, size: None, ..two });
        assert!(unknown.files.is_none() && unknown.size.is_none() && !unknown.same);
    }
}
