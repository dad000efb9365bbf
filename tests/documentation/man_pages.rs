//! The manual pages that `ingot man-pages` writes.

use std::collections::BTreeSet;

use ingot_test_support::{ingot, repository};

#[test]
fn every_command_has_a_manual_page_with_packers_flags() {
    let directory = tempfile::tempdir().unwrap();
    let run = ingot(directory.path(), &["man-pages", "man/man1"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut pages = BTreeSet::new();
    for entry in std::fs::read_dir(directory.path().join("man/man1")).unwrap() {
        let entry = entry.unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        // Flags have one dash, and switches no value.
        for wrong in ["\\-\\-", "--", "[="] {
            assert!(!text.contains(wrong), "{:?} has {wrong}", entry.path());
        }
        assert!(text.contains(".SH NAME"), "{:?}", entry.path());
        pages.insert(entry.file_name().into_string().unwrap());
    }
    let reference = std::fs::read_to_string(repository("docs/reference/commands.md")).unwrap();
    let commands: BTreeSet<String> = reference
        .lines()
        .filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'))
        .map(|command| format!("{}.1", command.replace(' ', "-")))
        .collect();
    assert_eq!(pages, commands);
}

#[test]
fn pages_that_cannot_be_written_are_an_error() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let run = ingot(directory.path(), &["man-pages", "file"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("the manual pages cannot be written to file: "), "{}", run.stderr);
}
