//! A page of Markdown: its fenced blocks, its links and its headings.

use std::path::{Path, PathBuf};

use ingot_test_support::repository;
use regex::Regex;

/// A fenced block.
pub(crate) struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The first word after the fence: `console`, `hcl`.
    pub language: String,
    /// Where the reader is to save it: `file=PATH` after the language.
    pub file: Option<String>,
    /// Why it is not run: a comment `<!-- not run: REASON -->` on the line before it.
    pub not_run: Option<String>,
    pub text: String,
}

/// What stands in a comment `<!-- NAME: VALUE -->`.
fn comment<'line>(line: &'line str, name: &str) -> Option<&'line str> {
    let inner = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim();
    Some(inner.strip_prefix(name)?.strip_prefix(':')?.trim())
}

/// The values of all comments of this name in a page.
pub(crate) fn comments<'text>(text: &'text str, name: &str) -> Vec<&'text str> {
    text.lines().filter_map(|line| comment(line, name)).collect()
}

/// The fenced blocks of a page.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let (mut found, mut open, mut before) = (Vec::new(), None::<Block>, "");
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let mut words = info.split_whitespace();
                open = Some(Block {
                    line: index + 1,
                    language: words.next().unwrap_or_default().to_owned(),
                    file: words.find_map(|word| word.strip_prefix("file=")).map(str::to_owned),
                    not_run: comment(before, "not run").map(str::to_owned),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
        before = line;
    }
    assert!(open.is_none(), "a fenced block is never closed");
    found
}

/// The page without what stands in code: links and headings there are none.
pub(crate) fn prose(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().map(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        if fenced || fence { "" } else { line }
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    Regex::new("`[^`\n]*`").unwrap().replace_all(&text, "``").into_owned()
}

/// All pages that people read: those at the top, below `docs` and `benches`, and of the examples.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut found = vec![repository("README.md"), repository("CHANGELOG.md")];
    for directory in ["docs", "benches", "examples"] {
        below(&repository(directory), &mut found);
    }
    found.sort();
    found
}

fn below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        match path.is_dir() {
            true if entry.file_name() == "target" => {}
            true => below(&path, found),
            false if path.extension().is_some_and(|ending| ending == "md") => found.push(path),
            false => {}
        }
    }
}

/// The path of a page from the repository's root, for messages.
pub(crate) fn shown(page: &Path) -> String {
    page.strip_prefix(repository("")).unwrap_or(page).display().to_string()
}
