//! Reading the blocks of companion files.

use ingot_hcl::ast::{Block, Body};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::scope::Scope;
use ingot_hcl::source::Span;
use ingot_hcl::unknowns::Unknowns;

use super::names::Names;
use super::reader::Reader;
use super::{CacheBlock, Companion, FamilyBlock, StepBlock, test_block};
use crate::block_form::{labels, only};
use crate::blocks::{IN_BUILD, TOP_LEVEL};
use crate::builds::Build;

/// The blocks of a companion file, and what their labels are.
const BLOCKS: &[(&str, &[&str])] =
    &[("cache", &[]), ("step", &["name"]), ("family", &[]), ("test", &["name"])];

/// Evaluates the blocks of companion files for a template with these builds. What is wrong goes to
/// `diagnostics`; a block with something wrong may be left out.
pub fn read(
    bodies: &[Body],
    builds: &[Build],
    scope: &Scope,
    unknowns: Unknowns,
    diagnostics: &mut Diagnostics,
) -> Companion {
    let names = Names::of(builds);
    let mut companion = Companion::default();
    for body in bodies {
        let blocks: Vec<&str> = BLOCKS.iter().map(|(kind, _)| *kind).collect();
        let known = |block: &&Block| blocks.contains(&block.kind.as_str());
        for attribute in &body.attributes {
            diagnostics.push(
                Diagnostic::error(format!("`{}` cannot stand outside a block", attribute.name))
                    .at(attribute.name_span),
            );
        }
        for block in body.blocks.iter().filter(|block| !known(block)) {
            diagnostics.push(unknown_block(block, &blocks));
        }
        for block in body.blocks.iter().filter(known) {
            let wanted = BLOCKS.iter().find(|(kind, _)| *kind == block.kind);
            if !labels(block, wanted.map_or(&[], |(_, labels)| labels), diagnostics) {
                continue;
            }
            let reader = Reader { body: &block.body, scope, unknowns, diagnostics };
            add(&mut companion, block, &names, reader);
        }
    }
    companion
}

fn unknown_block(block: &Block, known: &[&str]) -> Diagnostic {
    let kind = block.kind.as_str();
    let of_template = TOP_LEVEL.contains(&kind) || IN_BUILD.iter().any(|(inner, _)| *inner == kind);
    if of_template {
        return Diagnostic::error(format!("`{kind}` is a block of the template"))
            .at(block.header)
            .help("move it into a *.pkr.hcl file: Packer does not read this one");
    }
    let places = test_block::blocks();
    if places.contains(&kind) {
        return Diagnostic::error(format!("`{kind}` stands outside of a test"))
            .at(block.header)
            .help("move it into a test block: test \"NAME\" { … }");
    }
    Diagnostic::error(format!("there is no block of type `{kind}` here"))
        .at(block.header)
        .suggest_or_list(kind, "known here", known.iter().copied())
}

fn add(companion: &mut Companion, block: &Block, names: &Names, mut reader: Reader) {
    match block.kind.as_str() {
        "cache" => {
            let first = companion.cache.as_ref().and_then(|first| first.header);
            if let Some(first) = first {
                return reader.diagnostics.push(twice(
                    "a template has one `cache` block",
                    block,
                    first,
                ));
            }
            only(
                reader.body,
                &["enabled", "max_age", "directory", "amazon"],
                &[],
                reader.diagnostics,
            );
            let directory = reader.text("directory");
            if directory.as_deref() == Some("") {
                reader.invalid("directory", "this cannot be the name of a directory");
            }
            companion.cache = Some(CacheBlock {
                enabled: reader.bool("enabled"),
                max_age: reader.duration("max_age"),
                directory: directory.filter(|directory| !directory.is_empty()),
                amazon: reader.bool("amazon"),
                header: Some(block.header),
            });
        }
        "family" => {
            if let Some(first) = &companion.family {
                let first = first.header;
                return reader.diagnostics.push(twice(
                    "a template has one `family` block",
                    block,
                    first,
                ));
            }
            only(reader.body, &["promote"], &[], reader.diagnostics);
            let promote = reader.text("promote");
            if promote.as_deref().is_some_and(|name| name.trim().is_empty()) {
                reader.invalid("promote", "this cannot be the name of a channel");
            }
            companion.family = Some(FamilyBlock {
                promote,
                promote_place: reader.place("promote"),
                header: block.header,
            });
        }
        "step" => {
            let name = block.label(0);
            if let Some(first) = companion.steps.get(name) {
                let what = format!("step {name:?} is declared twice");
                return reader.diagnostics.push(twice(&what, block, first.header));
            }
            only(reader.body, &["cache"], &[], reader.diagnostics);
            if !names.steps.contains(name) && !names.incomplete {
                let wrong = Diagnostic::error(format!("no provisioner is called `{name}`"))
                    .at(block.labels[0].span);
                let steps = names.steps.iter().map(String::as_str);
                let wrong = wrong.suggest_or_list(name, "provisioners here", steps);
                reader.diagnostics.push(match names.steps.is_empty() {
                    true => wrong.note("the template has no provisioners"),
                    false => wrong.note("a provisioner goes by its `name`, else by its type"),
                });
            }
            let cache = reader.bool("cache");
            companion.steps.insert(name.to_owned(), StepBlock { cache, header: block.header });
        }
        _ => {
            let name = block.label(0);
            if let Some(first) = companion.tests.iter().find(|first| first.name == name) {
                let what = format!("test {name:?} is declared twice");
                return reader.diagnostics.push(twice(&what, block, first.header));
            }
            companion.tests.extend(test_block::read(block, names, reader));
        }
    }
}

fn twice(what: &str, block: &Block, first: Span) -> Diagnostic {
    Diagnostic::error(what).at(block.header).also(first, "first here")
}
