//! docs/reference says what the program does, with all its features.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]
#![cfg(feature = "amazon")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ingot_test_support::repository;
use regex::Regex;

/// Holds a page against what it has to be; writes it where `UPDATE` is set.
fn hold(name: &str, text: &str) {
    let directory = repository("docs/reference");
    let path = directory.join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "docs/reference/{name} is out of date: run cargo xtask reference");
}

#[test]
fn the_reference_is_true() {
    for (name, text) in ingot::engine::reference::pages(&ingot::builtin::plugins()) {
        hold(name, &text);
    }
}

#[test]
fn the_reference_of_commands_is_true() {
    hold("commands.md", &ingot::cli::reference::page());
}

/// The source files below a directory, without tests.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name().into_string().unwrap();
        match path.is_dir() {
            true if name == "tests" || name == "target" || name == "xtask" => {}
            true => sources(&path, found),
            false if name.ends_with(".rs") && !name.contains("tests") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn the_reference_of_environment_variables_is_true() {
    let literal =
        Regex::new(r#""((?:INGOT|PACKER|PKR|HCP|DOCKER|XDG)_[A-Z_]*[A-Z]|NO_COLOR)"#).unwrap();
    let mut files = Vec::new();
    sources(&repository("src"), &mut files);
    sources(&repository("plugins"), &mut files);
    let mut read = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        read.extend(literal.captures_iter(code).map(|found| found[1].to_owned()));
    }
    assert!(read.len() > 30, "{read:?}");
    let page = std::fs::read_to_string(repository("docs/reference/environment.md")).unwrap();
    let named =
        Regex::new(r"\b(?:INGOT|PACKER|PKR|HCP|DOCKER|XDG)_[A-Z_]*[A-Z]\b|\bNO_COLOR\b").unwrap();
    let named: BTreeSet<String> = named
        .find_iter(&page)
        .map(|found| found.as_str().replace("PKR_VAR_NAME", "PKR_VAR"))
        .collect();
    let missing: Vec<_> = read.difference(&named).collect();
    let gone: Vec<_> = named.difference(&read).collect();
    assert!(missing.is_empty(), "docs/reference/environment.md does not name {missing:?}");
    assert!(gone.is_empty(), "docs/reference/environment.md names {gone:?}, which nothing reads");
}
