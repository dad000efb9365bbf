//! The kinds of text that are parsed.

use super::parser::{Parser, Result};
use crate::ast::{Body, Expr};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{FileId, SourceMap};
use crate::tokens::{TokenKind, tokenize, tokenize_template};

/// Parses a template or variables file. What is wrong is added to `diagnostics`; what could be
/// read is returned all the same.
pub fn parse_body(sources: &SourceMap, file: FileId, diagnostics: &mut Diagnostics) -> Body {
    let text = &sources.get(file).text;
    let mut parser = Parser::new(text, file, tokenize(text));
    let body = parser.file();
    let mut found: Vec<Diagnostic> = parser.diagnostics.into_iter().collect();
    found.sort_by_key(|error| error.span.map(|span| span.start));
    diagnostics.extend(found);
    body
}

/// Parses one expression: what `-var` gives a variable that is not a string, or a line of the
/// console.
///
/// # Errors
/// The first thing that is not HCL, with its place.
pub fn parse_expr(sources: &SourceMap, file: FileId) -> Result<Expr> {
    expr_text(&sources.get(file).text, file)
}

/// Parses one expression; places are offsets in `text`.
pub(crate) fn expr_text(text: &str, file: FileId) -> Result<Expr> {
    let mut parser = Parser::new(text, file, tokenize(text));
    // There is one expression; where its lines end does not matter.
    parser.newlines = false;
    let expr = parser.expr()?;
    match parser.peek().kind {
        TokenKind::Eof => parser.only(expr),
        _ => Err(parser.after_value()),
    }
}

/// Parses text with interpolations that stands outside of quotes, such as a template file.
///
/// # Errors
/// The first thing that is not HCL, with its place.
pub fn parse_template(sources: &SourceMap, file: FileId) -> Result<Expr> {
    template_text(&sources.get(file).text, file)
}

/// Parses text with interpolations; places are offsets in `text`.
pub(crate) fn template_text(text: &str, file: FileId) -> Result<Expr> {
    let mut parser = Parser::new(text, file, tokenize_template(text));
    let expr = parser.bare_template()?;
    parser.only(expr)
}
