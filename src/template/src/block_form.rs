//! The form of blocks: their labels, and which arguments and blocks stand in them.

use ingot_hcl::ast::{Attribute, Block, Body};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};

/// Checks that a block has just the labels it should. Whether it has enough to be read; what
/// refers to it is not to be reported as well.
pub(super) fn labels(block: &Block, names: &[&str], diagnostics: &mut Diagnostics) -> bool {
    if block.labels.len() == names.len() {
        return true;
    }
    let wanted: String = names.iter().map(|name| format!(" \"{name}\"")).collect();
    let takes = match names.len() {
        0 => "no labels".to_owned(),
        1 => "one label".to_owned(),
        count => format!("{count} labels"),
    };
    let kind = &block.kind;
    let message = format!("`{kind}` takes {takes}, this has {}", block.labels.len());
    diagnostics.push(
        Diagnostic::error(message)
            .at(block.header)
            .help(format!("write {}{wanted} {{ … }}", block.kind)),
    );
    block.labels.len() > names.len()
}

/// Whether expressions can use `name`.
pub(super) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

pub(super) fn unknown_block(kind: &str, block: &Block, known: &[&str]) -> Diagnostic {
    let diagnostic =
        Diagnostic::error(format!("there is no block of type `{kind}` here")).at(block.header);
    match known.is_empty() {
        true => diagnostic.note("no blocks stand here"),
        false => diagnostic.suggest_or_list(kind, "known here", known.iter().copied()),
    }
}

/// Reports attributes and blocks that are not among those listed. Whether there were none.
pub(super) fn only(
    body: &Body,
    attributes: &[&str],
    blocks: &[&str],
    diagnostics: &mut Diagnostics,
) -> bool {
    let mut fine = true;
    for Attribute { name, name_span, .. } in &body.attributes {
        let name = name.as_str();
        if attributes.contains(&name) {
            continue;
        }
        fine = false;
        diagnostics.push(match blocks.contains(&name) {
            true => Diagnostic::error(format!("`{name}` is a block, not an argument"))
                .at(*name_span)
                .help(format!("write {name} … {{ … }} without the equals sign")),
            false => {
                let all = attributes.iter().chain(blocks).copied();
                Diagnostic::error(format!("there is no argument called `{name}` here"))
                    .at(*name_span)
                    .suggest_or_list(name, "known here", all)
            }
        });
    }
    for block in &body.blocks {
        if !blocks.contains(&block.kind.as_str()) {
            fine = false;
            diagnostics.push(unknown_block(&block.kind, block, blocks));
        }
    }
    fine
}
