//! What contributors read of the tree is true: the sizes of crates, and the paths.

use std::path::{Path, PathBuf};

use ingot_test_support::repository;
use regex::Regex;

/// The lines of Rust of a crate, without its tests that are programs of their own.
fn lines(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let lines_of = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => match path.file_name().unwrap() == "tests" {
            true => 0,
            false => lines(&path),
        },
        Some(extension) if extension == "rs" => {
            std::fs::read_to_string(path).unwrap().lines().count()
        }
        _ => 0,
    };
    entries.map(lines_of).sum()
}

#[test]
fn crates_are_as_large_as_their_table_says() {
    let text = std::fs::read_to_string(repository("docs/architecture.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `([^`]+)` [^|]*\| ([\d,]+) \|").unwrap();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for found in row.captures_iter(&text) {
        rows += 1;
        let said: usize = found[2].replace(',', "").parse().unwrap();
        let is = match &found[1] {
            "plugins/*" => lines(&repository("plugins")) - lines(&repository("plugins/sdk")),
            directory => lines(&repository(directory)),
        };
        if is.abs_diff(said) * 5 > is {
            wrong.push(format!("{} has {is} lines, not {said}", &found[1]));
        }
    }
    assert!(rows > 10, "the table of crates is not where it was");
    assert!(wrong.is_empty(), "docs/architecture.md: {}", wrong.join("; "));
}

#[test]
fn paths_in_pages_for_contributors_are_there() {
    let pages = std::fs::read_dir(repository("docs/contributing")).unwrap();
    let pages = pages.map(|page| page.unwrap().path());
    let pages = pages.chain(["docs/CONTRIBUTING.md", "docs/architecture.md"].map(repository));
    let path =
        Regex::new(r"`((?:src|plugins|tests|benches|docs|examples|\.ci)/[\w./-]+)`").unwrap();
    let mut missing = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for found in path.captures_iter(&text) {
            // What somebody is to add has its name in capitals.
            let is_name = found[1].chars().any(char::is_uppercase);
            if !is_name && !repository(&found[1]).exists() {
                missing.push(format!("{}: {}", page.display(), &found[1]));
            }
        }
    }
    assert!(missing.is_empty(), "there is nothing at these paths:\n{}", missing.join("\n"));
}
