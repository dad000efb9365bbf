//! The site that mdBook makes of `docs`.

use std::path::Path;

use ingot_test_support::{repository, tool};
use regex::Regex;

use crate::links::links;

/// The files that a page of the site refers to, with the anchor.
fn references(html: &str) -> Vec<(String, String)> {
    let attribute = Regex::new(r#"(?:href|src)="([^"]+)""#).unwrap();
    let all = attribute.captures_iter(html).map(|found| found[1].to_owned());
    let inside = all.filter(|link| !link.contains("://") && !link.starts_with("data:"));
    let split = inside.map(|link| {
        let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
        (file.to_owned(), anchor.to_owned())
    });
    split.collect()
}

fn check(page: &Path) -> Vec<String> {
    let html = std::fs::read_to_string(page).unwrap();
    let mut wrong = Vec::new();
    for (file, anchor) in references(&html) {
        let target = match file.as_str() {
            "" => page.to_owned(),
            file => page.parent().unwrap_or(page).join(file.split('?').next().unwrap_or(file)),
        };
        let there = target.exists()
            && (anchor.is_empty()
                || std::fs::read_to_string(&target)
                    .is_ok_and(|text| text.contains(&format!("id=\"{anchor}\""))));
        if !there {
            wrong.push(format!("{}: {file}#{anchor}", page.display()));
        }
    }
    wrong
}

#[test]
fn the_site_is_built_and_its_links_lead_somewhere() {
    let site = tempfile::tempdir().unwrap();
    let directory = site.path().to_str().expect("a plain name");
    let argv = ["mdbook", "build", "docs", "--dest-dir", directory];
    if tool(&repository(""), &argv).is_none() {
        return;
    }
    let summary = std::fs::read_to_string(repository("docs/SUMMARY.md")).unwrap();
    let mut wrong = Vec::new();
    let pages = links(&summary);
    for page in &pages {
        let page = page.replace("README.md", "index.md");
        let html = site.path().join(page).with_extension("html");
        assert!(html.exists(), "{} was not made", html.display());
        wrong.extend(check(&html));
    }
    assert!(pages.len() > 20, "{pages:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
