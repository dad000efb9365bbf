//! A second opinion on syntax: what our own parser makes of templates is what hcl-edit makes of
//! them, as far as blocks, labels and names of arguments go.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

use std::path::{Path, PathBuf};

use hcl_edit::structure::{BlockLabel, Body as Other};
use ingot_hcl::parse::parse_body;
use ingot_hcl::{Body, Diagnostics, SourceMap};

/// What hcl-edit reads in another way than Packer: it refuses a name that is set twice in an object
/// and an end marker inside of a heredoc's text, and takes what follows an empty heredoc for its
/// text.
const NOT_FOR_HCL_EDIT: &[&str] = &[
    "expr-object-key-twice",
    "syntax-heredoc-marker-in-text",
    "text-heredocs",
    "variable-type-object-attribute-twice",
];

fn templates(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            templates(&path, found);
        } else if path.to_string_lossy().ends_with(".hcl") {
            found.push(path);
        }
    }
}

fn ours(body: &Body, depth: usize, outline: &mut Vec<(u32, String)>) {
    let pad = "  ".repeat(depth);
    for attribute in &body.attributes {
        outline.push((attribute.name_span.start, format!("{pad}{} =", attribute.name)));
    }
    for block in &body.blocks {
        let labels: String =
            block.labels.iter().map(|label| format!(" {:?}", label.text)).collect();
        outline.push((block.header.start, format!("{pad}{}{labels}", block.kind)));
        ours(&block.body, depth + 1, outline);
    }
}

fn theirs(body: &Other, depth: usize, outline: &mut Vec<String>) {
    let pad = "  ".repeat(depth);
    for structure in body {
        if let Some(attribute) = structure.as_attribute() {
            outline.push(format!("{pad}{} =", attribute.key.as_str()));
        }
        if let Some(block) = structure.as_block() {
            let labels = block.labels.iter().map(BlockLabel::as_str);
            let labels: String = labels.map(|label| format!(" {label:?}")).collect();
            outline.push(format!("{pad}{}{labels}", block.ident.as_str()));
            theirs(&block.body, depth + 1, outline);
        }
    }
}

#[test]
fn two_parsers_agree_on_the_outline_of_templates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    templates(&root.join("examples"), &mut paths);
    templates(&root.join("tests/conformance/templates"), &mut paths);
    let mut compared = 0;
    let mut wrong = Vec::new();
    for path in paths {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let mut sources = SourceMap::default();
        let Ok(file) = sources.read(&path) else { continue };
        let mut diagnostics = Diagnostics::default();
        let body = parse_body(&sources, file, &mut diagnostics);
        if diagnostics.has_errors() || NOT_FOR_HCL_EDIT.iter().any(|other| name.contains(other)) {
            continue;
        }
        let mut outline = Vec::new();
        ours(&body, 0, &mut outline);
        outline.sort_by_key(|(start, _)| *start);
        let outline: Vec<String> = outline.into_iter().map(|(_, line)| line).collect();
        let mut other = Vec::new();
        match hcl_edit::parser::parse_body(&sources.get(file).text) {
            Ok(body) => theirs(&body, 0, &mut other),
            Err(error) => wrong.push(format!("{name}: hcl-edit: {error}")),
        }
        if !other.is_empty() && other != outline {
            wrong.push(format!("{name}:\n{}\nhcl-edit:\n{}", outline.join("\n"), other.join("\n")));
        }
        compared += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(compared > 300, "{compared}");
}
