//! Templates and variable files in HCL's JSON form: JSON text to syntax tree.
//!
//! JSON alone does not tell a block from an attribute; a [`Shape`] says which names are blocks
//! and how many labels they have. Where only a plugin knows, everything becomes an attribute of
//! a body that says it came [from JSON](Body::is_json), and whoever reads it against the
//! plugin's schema makes blocks of it with [`Expr::json_blocks`](super::Expr::json_blocks).

use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseErrorKind;
use jsonc_parser::{ParseOptions, ParseStringErrorKind};

use super::ast::{Attribute, Block, Body, Expr, ExprKind, Label, Syntax};
use super::diagnostic::Diagnostic;
use super::parse::{self, MAX_DEPTH};
use super::source::{FileId, SourceMap, Span};
use crate::number::Number;

type Result<T, E = Diagnostic> = std::result::Result<T, E>;

/// What the names in a JSON body are.
#[derive(Debug)]
pub struct Shape {
    /// Names that are blocks, with their number of labels and what is inside.
    pub blocks: &'static [(&'static str, usize, &'static Shape)],
    /// Names whose text is an expression rather than a template, such as a type constraint.
    pub expressions: &'static [&'static str],
    /// Names whose text is just text, in which `${` means nothing: what is read before anything
    /// can be evaluated.
    pub literals: &'static [&'static str],
}

/// A body of attributes only.
pub const ATTRIBUTES: Shape = Shape { blocks: &[], expressions: &[], literals: &[] };

/// What texts in the JSON are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// Templates, with `${…}`; so it is in `*.pkr.json`.
    Templates,
    /// Just texts; so it is in variable files.
    Plain,
    /// Plain strings, and no comments: legacy JSON templates.
    Legacy,
}

/// Parses a template or variables file in JSON.
///
/// # Errors
/// The first thing that is not JSON, or not of the form that HCL gives JSON, with its place.
pub fn parse_body(sources: &SourceMap, file: FileId, shape: &Shape, texts: Texts) -> Result<Body> {
    let text = &sources.get(file).text;
    let lower = Lower { text, file, texts };
    let options = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let read = sources.json_text(file);
    let parsed = jsonc_parser::parse_to_ast(&read, &Default::default(), &options);
    let parsed = parsed.map_err(|error| {
        let range = error.range();
        // What is missing is missing where the range starts; it may go on over several lines.
        let rest = text.get(range.start..).unwrap_or("");
        let line = rest.lines().next().unwrap_or("").len().max(1);
        let end = range.end.clamp(range.start + 1, range.start + line).min(text.len());
        let span = lower.span(range.start, end);
        let error = Diagnostic::error(format!("this is not valid JSON: {}", reason(error.kind())));
        let error = error.at(span).names_only();
        match texts == Texts::Legacy && !text.trim_start().starts_with('{') {
            true => error.help(
                "this is read as a legacy JSON template; HCL2 is read from files whose names end in \
                 .pkr.hcl",
            ),
            false => error,
        }
    })?;
    let whole = lower.span(0, text.len());
    if let Some(value) = &parsed.value
        && let Some(deep) = too_deep(value, 0)
    {
        return Err(Diagnostic::error(format!(
            "more than {MAX_DEPTH} levels are nested in each other here"
        ))
        .at(lower.of(deep))
        .label("this is one level too many"));
    }
    if let Some(string) = parsed.value.as_ref().and_then(|value| lower.broken_string(value)) {
        return Err(string);
    }
    let no_object = |span| {
        let error = Diagnostic::error("the JSON here is not an object").at(span);
        match texts {
            Texts::Templates => error.help("write { \"source\": { … }, \"build\": { … } }"),
            Texts::Plain => error.help("write { \"NAME\": \"value\" }"),
            Texts::Legacy => error.help("write { \"builders\": [ … ] }"),
        }
        .names_only()
    };
    match (&parsed.value, texts) {
        (Some(Value::Object(object)), _) => lower.body(&[object], shape, whole),
        // HCL lets a body be spread over several objects.
        (Some(Value::Array(array)), Texts::Templates) => {
            let objects = array.elements.iter().map(|item| match item {
                Value::Object(object) => Ok(object),
                other => Err(no_object(lower.of(other))),
            });
            let objects = objects.collect::<Result<Vec<_>>>()?;
            lower.body(&objects, shape, whole)
        }
        (Some(other), _) => Err(no_object(lower.of(other))),
        (None, _) => {
            let error = Diagnostic::error("this file is empty").at(lower.span(0, 0));
            Err(match texts {
                Texts::Templates => error.help("write {} for an empty template"),
                Texts::Plain => error.help("write {} for no values"),
                Texts::Legacy => error.help("write { \"builders\": [ … ] }"),
            }
            .names_only())
        }
    }
}

/// The first value that is nested deeper than templates may nest; the JSON parser has a limit of
/// its own, high above.
fn too_deep<'a, 'b>(value: &'b Value<'a>, depth: usize) -> Option<&'b Value<'a>> {
    if depth > MAX_DEPTH {
        return Some(value);
    }
    match value {
        Value::Array(array) => array.elements.iter().find_map(|item| too_deep(item, depth + 1)),
        Value::Object(object) => {
            object.properties.iter().find_map(|property| too_deep(&property.value, depth + 1))
        }
        _ => None,
    }
}

/// What the parser says is wrong, as the end of a sentence. It quotes nothing of the text.
fn reason(kind: &ParseErrorKind) -> String {
    let words = match kind {
        ParseErrorKind::String(ParseStringErrorKind::InvalidUnicodeEscapeSequence(_)) => {
            "Invalid character after \\u".to_owned()
        }
        other => other.to_string(),
    };
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

struct Lower<'a> {
    text: &'a str,
    file: FileId,
    texts: Texts,
}

impl Lower<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        Span { file: self.file, start: start as u32, end: end as u32 }
    }

    fn of(&self, node: &impl Ranged) -> Span {
        self.span(node.start(), node.end())
    }

    /// What is wrong with the first string that holds a raw control character, if one does: the
    /// parser lets them pass, JSON does not.
    fn broken_string(&self, value: &Value) -> Option<Diagnostic> {
        let check = |span: Span| {
            let start = span.start as usize;
            let text = self.text.get(start..span.end as usize)?;
            let (at, control) = text.char_indices().find(|(_, c)| *c < ' ')?;
            let (what, escape) = match control {
                '\n' | '\r' => ("a line break", "\\n".to_owned()),
                '\t' => ("a tab", "\\t".to_owned()),
                other => ("a control character", format!("\\u{:04x}", u32::from(other))),
            };
            let error = Diagnostic::error(format!("{what} cannot stand in a JSON string"));
            let help = format!("close the string before it, or write {escape} for it");
            // Up to it: what holds a line break is shown as two lines.
            Some(error.at(self.span(start, start + at)).help(help).names_only())
        };
        match value {
            Value::StringLit(literal) => check(self.of(literal)),
            Value::Array(array) => array.elements.iter().find_map(|item| self.broken_string(item)),
            Value::Object(object) => object.properties.iter().find_map(|property| {
                check(self.of(&property.name)).or_else(|| self.broken_string(&property.value))
            }),
            _ => None,
        }
    }

    /// The objects together make one body: JSON may spread blocks over a list of objects.
    fn body(&self, objects: &[&Object], shape: &Shape, span: Span) -> Result<Body> {
        let mut body =
            Body { attributes: Vec::new(), blocks: Vec::new(), span, syntax: Syntax::Json };
        for property in objects.iter().flat_map(|object| &object.properties) {
            let name = property.name.as_str();
            if name == "//" && self.texts != Texts::Legacy {
                // HCL's way to write a comment in JSON.
                continue;
            }
            let block = shape.blocks.iter().find(|(kind, ..)| *kind == name);
            if let Some((_, labels, inner)) = block {
                let header = self.of(&property.name);
                let start = Unfinished { kind: name, labels: Vec::new(), header };
                self.blocks(&property.value, start, *labels, inner, &mut body.blocks)?;
                continue;
            }
            let name_span = self.of(&property.name);
            if let Some(first) = body.attribute(name) {
                return Err(Diagnostic::error(format!("`{name}` is set twice in this object"))
                    .at(name_span)
                    .also(first.name_span, "first here")
                    .help("keep one of the two")
                    .names_only());
            }
            let expr = match &property.value {
                Value::StringLit(text) if shape.expressions.contains(&name) => {
                    let span = self.of(text);
                    self.inside(text.value.as_ref(), span, parse::expr_text)?
                }
                Value::StringLit(text) if shape.literals.contains(&name) => {
                    Expr { kind: ExprKind::String(text.value.to_string()), span: self.of(text) }
                }
                value => self.expr(value)?,
            };
            body.attributes.push(Attribute { name: name.to_owned(), name_span, expr });
        }
        Ok(body)
    }

    /// Adds the blocks that `value` stands for once `missing` more labels are read from its keys.
    fn blocks(
        &self,
        value: &Value,
        start: Unfinished,
        missing: usize,
        shape: &Shape,
        blocks: &mut Vec<Block>,
    ) -> Result<()> {
        let objects: Vec<&Object> = match value {
            Value::NullKeyword(_) => return Ok(()),
            Value::Object(object) => vec![object],
            Value::Array(array) => {
                let objects = array.elements.iter().map(|item| match item {
                    Value::Object(object) => Ok(object),
                    other => Err(self.no_block(&start, other)),
                });
                objects.collect::<Result<_>>()?
            }
            other => return Err(self.no_block(&start, other)),
        };
        for object in objects {
            if missing == 0 {
                let body = self.body(&[object], shape, self.of(object))?;
                let Unfinished { kind, labels, header } = start.clone();
                blocks.push(Block { kind: kind.to_owned(), labels, body, header });
                continue;
            }
            for ObjectProp { name, value, .. } in &object.properties {
                let span = self.of(name);
                let mut next = start.clone();
                next.labels.push(Label { text: name.as_str().to_owned(), span });
                next.header = next.header.to(span);
                self.blocks(value, next, missing - 1, shape, blocks)?;
            }
        }
        Ok(())
    }

    fn no_block(&self, start: &Unfinished, value: &Value) -> Diagnostic {
        Diagnostic::error(format!("`{}` is a block, written as an object", start.kind))
            .at(self.of(value))
            .label("an object, or a list of objects, is required here")
    }

    fn expr(&self, value: &Value) -> Result<Expr> {
        let span = self.of(value);
        let kind = match value {
            Value::NullKeyword(_) => ExprKind::Null,
            Value::BooleanLit(literal) => ExprKind::Bool(literal.value),
            Value::NumberLit(literal) => {
                ExprKind::Number(Number::parse(literal.value).ok_or_else(|| {
                    let number = literal.value;
                    Diagnostic::error(format!("`{number}` is not a valid number")).at(span)
                })?)
            }
            Value::StringLit(literal) => return self.text(&literal.value, span),
            Value::Array(array) => {
                let items = array.elements.iter().map(|item| self.expr(item));
                ExprKind::Tuple(items.collect::<Result<_>>()?)
            }
            Value::Object(object) => {
                let items = object.properties.iter().map(|property| {
                    let key = self.text(property.name.as_str(), self.of(&property.name))?;
                    Ok((key, self.expr(&property.value)?))
                });
                ExprKind::Object(items.collect::<Result<_>>()?)
            }
        };
        Ok(Expr { kind, span })
    }

    fn text(&self, text: &str, span: Span) -> Result<Expr> {
        let plain = self.texts != Texts::Templates || !(text.contains("${") || text.contains("%{"));
        if plain {
            return Ok(Expr { kind: ExprKind::String(text.to_owned()), span });
        }
        let expr = self.inside(text, span, parse::template_text)?;
        Ok(Expr { span, ..expr })
    }

    /// Parses what stands in a JSON string. Places in it are places in the file where the string
    /// has no escapes; else all of it is the whole string.
    fn inside(
        &self,
        text: &str,
        span: Span,
        parse: fn(&str, FileId) -> Result<Expr>,
    ) -> Result<Expr> {
        let verbatim = self.text.get(span.start as usize + 1..span.end as usize - 1) == Some(text);
        let place = |inner: Span| match verbatim {
            true => Span {
                start: inner.start + span.start + 1,
                end: inner.end + span.start + 1,
                ..inner
            },
            false => span,
        };
        match parse(text, self.file) {
            Ok(mut expr) => {
                expr.map_spans(&place);
                Ok(expr)
            }
            Err(mut error) => {
                error.span = error.span.map(place);
                error.related.iter_mut().for_each(|(span, _)| *span = place(*span));
                Err(error)
            }
        }
    }
}

/// A block whose labels are being read.
#[derive(Clone)]
struct Unfinished<'a> {
    kind: &'a str,
    labels: Vec<Label>,
    header: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: Shape = Shape { blocks: &[], expressions: &["type"], literals: &["words"] };
    const SHAPE: Shape = Shape { blocks: &[("thing", 1, &INNER)], expressions: &[], literals: &[] };

    fn parse(text: &str) -> (SourceMap, Result<Body>) {
        let mut sources = SourceMap::default();
        let file = sources.add("t.pkr.json", text);
        let body = parse_body(&sources, file, &SHAPE, Texts::Templates);
        (sources, body)
    }

    #[test]
    fn blocks_are_objects_or_lists_of_them() {
        let (_, body) =
            parse(r#"{"//": 1, "thing": [{"a": {"x": 1}}, {"a": [{}, {}], "b": null}]}"#);
        let body = body.unwrap();
        let labels: Vec<&str> = body.blocks.iter().map(|block| block.label(0)).collect();
        assert_eq!(labels, ["a", "a", "a"]);
        assert_eq!(body.blocks[0].body.attributes[0].name, "x");
        assert!(parse(r#"{"thing": {"a": 5}}"#).1.is_err());
    }

    #[test]
    fn a_list_of_objects_is_one_body() {
        let (_, body) =
            parse(r#"[{"a": 1, "thing": {"x": {}}}, {}, {"thing": {"y": {}}, "b": 2}]"#);
        let body = body.unwrap();
        let labels: Vec<&str> = body.blocks.iter().map(|block| block.label(0)).collect();
        assert_eq!(labels, ["x", "y"]);
        assert!(body.attribute("a").is_some() && body.attribute("b").is_some());
        assert!(parse("[]").1.unwrap().blocks.is_empty());
    }

    #[test]
    fn some_texts_are_no_templates() {
        let (_, body) = parse(r#"{"thing": {"x": {"words": "${a", "other": "${a}"}}}"#);
        let block = &body.unwrap().blocks[0];
        let kind = |name: &str| &block.body.attribute(name).unwrap().expr.kind;
        assert!(matches!(kind("words"), ExprKind::String(text) if text == "${a"));
        assert!(matches!(kind("other"), ExprKind::Template(..)));
    }

    #[test]
    fn places_inside_texts_are_places_in_the_file() {
        let (sources, body) =
            parse(r#"{"a": "x ${var.b}", "thing": {"t": {"type": "list(any)"}}}"#);
        let body = body.unwrap();
        let mut seen = Vec::new();
        body.attributes[0].expr.walk(&mut |expr| {
            seen.push(sources.text(expr.span).to_owned());
        });
        assert_eq!(seen, ["\"x ${var.b}\"", "var.b", "var"]);
        let ty = &body.blocks[0].body.attributes[0].expr;
        assert!(matches!(&ty.kind, ExprKind::Call { name, .. } if name == "list"));
        assert_eq!(sources.text(ty.span), "list(any)");
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for text in [
            "{\"a\": 1,}",
            "{a: 1}",
            "[1]",
            "\"\"",
            "",
            " ",
            "{\"a\": \"${\"}",
            "{\"a\":1,\"a\":2}",
            "//",
            "[{\"a\":1},{\"a\":2}]",
            "{\"a\": \"x\ny\"}",
            "{\"a\ty\": 1}",
            "{\"a\": [{\"b\": \"\u{1}\"}]}",
            "{\"a\": \"\\x\"}",
            "{\"a\": 01}",
            "{\"a\": 1.}",
            "{\"a\": +1}",
            "{\"a\": 'x'}",
        ] {
            let error = parse(text).1.expect_err(text);
            assert!(error.span.is_some(), "{text}");
        }
        let error = parse("{\n  \"a\" 1\n}").1.unwrap_err();
        assert!(error.span.is_some());
        for levels in [250, 5000] {
            let deep = format!("{{\"a\": {}1{}}}", "[".repeat(levels), "]".repeat(levels));
            assert!(parse(&deep).1.is_err());
        }
    }
}
