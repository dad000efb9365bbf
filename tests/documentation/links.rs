//! Links within the repository lead to files and headings that are there, and every page of `docs` is
//! in the site's table of contents.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ingot_test_support::repository;
use regex::Regex;

use crate::page::{pages, prose, shown};

/// What files of the repository outside of `docs` are linked by there: a site has only `docs`.
const BLOB: &str = "https://github.com/ingot-build/ingot/blob/main/";

/// The targets of a page's links.
pub(crate) fn links(text: &str) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    link.captures_iter(&prose(text)).map(|found| found[1].to_owned()).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if fenced || heading == line || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().to_lowercase().replace(' ', "-");
        let anchor: String =
            kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
        let again = (1..).map(|number| format!("{anchor}-{number}"));
        let free = std::iter::once(anchor.clone()).chain(again).find(|name| !found.contains(name));
        found.extend(free);
    }
    found
}

/// What is wrong with a link of a page, if anything.
fn broken(page: &Path, link: &str) -> Option<String> {
    let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = match (target, target.strip_prefix(BLOB)) {
        ("", _) => page.to_owned(),
        (_, Some(inside)) => repository(inside),
        (outside, None) if outside.starts_with("https://") => return None,
        (outside, None) if outside.contains("://") => return Some("use https".to_owned()),
        (relative, None) => page.parent().unwrap_or(page).join(relative),
    };
    if !path.exists() {
        return Some("there is no such file".to_owned());
    }
    let docs = repository("docs").canonicalize().unwrap();
    let inside = |path: &Path| path.canonicalize().unwrap().starts_with(&docs);
    if inside(page) && !inside(&path) && !target.starts_with(BLOB) {
        return Some(format!("the site has only docs; write {BLOB}…"));
    }
    if anchor.is_empty() || path.is_dir() {
        return None;
    }
    let text = std::fs::read_to_string(&path).unwrap();
    (!anchors(&text).contains(anchor)).then(|| "there is no such heading".to_owned())
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            seen += 1;
            wrong
                .extend(broken(&page, &link).map(|why| format!("{}: {link}: {why}", shown(&page))));
        }
    }
    assert!(seen > 100, "only {seen} links were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_contents_has_every_page_once() {
    let docs = repository("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let mut listed: Vec<PathBuf> = links(&summary).iter().map(|link| docs.join(link)).collect();
    listed.sort();
    let own = |page: &PathBuf| page.starts_with(&docs) && !page.ends_with("SUMMARY.md");
    let there: Vec<PathBuf> = pages().into_iter().filter(own).collect();
    assert_eq!(listed, there);
}

#[test]
fn a_broken_link_is_found() {
    let page = repository("docs/README.md");
    for (link, wrong) in [
        ("tutorial.md", false),
        ("no-such-page.md", true),
        ("registry.md#publishing", false),
        ("registry.md#no-such-heading", true),
        ("../Cargo.toml", true),
        ("https://github.com/ingot-build/ingot/blob/main/Cargo.toml", false),
        ("https://github.com/ingot-build/ingot/blob/main/no-such-file", true),
        ("http://example.com", true),
    ] {
        assert_eq!(broken(&page, link).is_some(), wrong, "{link}");
    }
}
