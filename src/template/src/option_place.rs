//! Where a template sets an option that a plugin names in an error or a warning.

use ingot_sdk::ConfigErrors;

use super::options::{BlockOptions, override_place};
use super::steps::Overrides;
use ingot_hcl::ast::{Attribute, Block, Body, Expr, ExprKind};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::source::Span;

/// One step of a path such as `disks[1].size`: a name, and which of several.
struct Step<'a> {
    name: &'a str,
    index: Option<usize>,
}

/// Where the template sets `option`, which is a path such as `size`, `disks[1].size` or `tags.Name`:
/// the value, or the nearest block or value around it. None if the template does not set it.
pub fn option_place(option: &str, given: BlockOptions) -> Option<Span> {
    let path = steps(option);
    let (first, rest) = path.split_first()?;
    if let Some(Overrides::Known(values)) = given.overrides
        && values.contains_key(first.name)
    {
        return Some(override_place(given));
    }
    // Blocks that a build adds to a source are counted after the source's own.
    let mut wanted = first.index.unwrap_or(0);
    let mut nearest = None;
    for body in given.parts.iter().map(|part| &part.body) {
        let Some(Attribute { expr, name_span, .. }) = body.attribute(first.name) else {
            match block(&body.blocks, first, rest, &mut wanted) {
                Some(place) => return Some(place),
                None => continue,
            }
        };
        // In JSON an attribute may stand for blocks.
        let blocks = match body.is_json() {
            true => expr.json_blocks(first.name, *name_span),
            false => None,
        };
        let count = blocks.map_or(usize::MAX, |blocks| blocks.len());
        if wanted < count {
            return Some(inside(expr, first.index.map(|_| wanted), rest).span);
        }
        wanted -= count;
        nearest = Some(expr.span);
    }
    nearest
}

/// Reports what is wrong with the options of a block, each at its place.
pub fn config_errors(errors: ConfigErrors, given: BlockOptions, diagnostics: &mut Diagnostics) {
    for error in errors.0 {
        let place = error.option.as_deref().and_then(|option| option_place(option, given));
        let message = match (&error.option, place) {
            (Some(option), None) if !error.message.contains(option.as_str()) => {
                format!("{option}: {}", error.message)
            }
            _ => error.message,
        };
        let diagnostic = Diagnostic::error(message).at(place.unwrap_or(given.header));
        diagnostics.push(match error.hint {
            Some(hint) => diagnostic.help(hint),
            None => diagnostic,
        });
    }
}

fn steps(option: &str) -> Vec<Step<'_>> {
    let parts = option.split('.').map(|part| match part.split_once('[') {
        Some((name, index)) => Step { name, index: index.trim_end_matches(']').parse().ok() },
        None => Step { name: part, index: None },
    });
    parts.collect()
}

/// Where the block is that `step` names, or what `rest` names in it. As many of its kind as `wanted`
/// says come before it; those that are found are taken off.
fn block(blocks: &[Block], step: &Step, rest: &[Step], wanted: &mut usize) -> Option<Span> {
    for block in blocks {
        if block.kind == "dynamic" && block.label(0) == step.name {
            // How many it stands for is not written down.
            return Some(block.labels.first().map_or(block.header, |label| label.span));
        }
        if block.kind != step.name {
            continue;
        }
        if *wanted == 0 {
            return Some(in_body(&block.body, rest).unwrap_or(block.header));
        }
        *wanted -= 1;
    }
    None
}

fn in_body(body: &Body, path: &[Step]) -> Option<Span> {
    let (first, rest) = path.split_first()?;
    match body.attribute(first.name) {
        Some(attribute) => Some(inside(&attribute.expr, first.index, rest).span),
        None => block(&body.blocks, first, rest, &mut first.index.unwrap_or(0)),
    }
}

/// The innermost value of a literal that the path leads to.
fn inside<'a>(expr: &'a Expr, index: Option<usize>, path: &[Step]) -> &'a Expr {
    match (&expr.kind, index, path) {
        (ExprKind::Paren(inner), ..) => inside(inner, index, path),
        (ExprKind::Tuple(items), Some(index), _) => match items.get(index) {
            Some(item) => inside(item, None, path),
            None => expr,
        },
        // A single object where a list of blocks may stand, as in JSON.
        (ExprKind::Object(items), None | Some(0), [first, rest @ ..]) => {
            let found = items.iter().find(|(key, _)| match &key.kind {
                ExprKind::String(name) | ExprKind::Variable(name) => name == first.name,
                _ => false,
            });
            found.map_or(expr, |(_, value)| inside(value, first.index, rest))
        }
        _ => expr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamic::{Names, Part};
    use ingot_hcl::diagnostic::Diagnostics;
    use ingot_hcl::json::{self, Texts};
    use ingot_hcl::source::SourceMap;

    const TEXT: &str = r#"size = 1
list = ["a", ("b")]
tags = { Name = "web", "Own er" = "x" }
disk {
  size = 2
  part { kind = "swap" }
}
disk { size = 3 }
dynamic "disk" {
  for_each = []
  content {}
}
"#;

    #[test]
    fn options_are_found_where_they_are_set() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.pkr.hcl", TEXT);
        let mut diagnostics = Diagnostics::default();
        let body = ingot_hcl::parse::parse_body(&sources, file, &mut diagnostics);
        assert!(!diagnostics.has_errors());
        let part = Part { body, names: Names::new() };
        let given = BlockOptions { parts: &[&part], overrides: None, header: part.body.span };
        for (option, expected) in [
            ("size", Some("1")),
            ("list", Some(r#"["a", ("b")]"#)),
            ("list[1]", Some(r#""b""#)),
            ("list[7]", Some(r#"["a", ("b")]"#)),
            ("tags.Name", Some(r#""web""#)),
            ("tags.Nome", Some(r#"{ Name = "web", "Own er" = "x" }"#)),
            ("disk.size", Some("2")),
            ("disk[0].part.kind", Some(r#""swap""#)),
            ("disk[1].size", Some("3")),
            ("disk[1].kind", Some("disk")),
            ("disk[2].size", Some(r#""disk""#)),
            ("disc", None),
            ("", None),
        ] {
            let found = option_place(option, given).map(|span| {
                let text = &TEXT[span.start as usize..span.end as usize];
                text.trim_end_matches([' ', '{'])
            });
            assert_eq!(found, expected, "{option}");
        }
    }

    #[test]
    fn blocks_of_a_source_and_of_a_build_are_counted_as_one_list() {
        const PARTS: [&str; 3] = [
            "disk { size = 1 }",
            r#"{ "disk": [{ "size": 2 }, { "size": 3 }] }"#,
            r#"{ "disk": { "size": 4 } }"#,
        ];
        let mut sources = SourceMap::default();
        let part = |text: &str| {
            let mut diagnostics = Diagnostics::default();
            let file = sources.add("a", text);
            let body = match text.starts_with('{') {
                true => json::parse_body(&sources, file, &json::ATTRIBUTES, Texts::Templates),
                false => Ok(ingot_hcl::parse::parse_body(&sources, file, &mut diagnostics)),
            };
            Part { body: body.unwrap(), names: Names::new() }
        };
        let parts = PARTS.map(part);
        let parts: Vec<&Part> = parts.iter().collect();
        let given = BlockOptions { parts: &parts, overrides: None, header: parts[0].body.span };
        for (option, expected) in [
            ("disk[0].size", Some("1")),
            ("disk[1].size", Some("2")),
            ("disk[2].size", Some("3")),
            ("disk[3].size", Some("4")),
            ("disk[4].size", Some(r#"{ "size": 4 }"#)),
        ] {
            let found = option_place(option, given);
            assert_eq!(found.map(|span| sources.text(span)), expected, "{option}");
        }
    }
}
