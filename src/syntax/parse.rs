//! Text to syntax tree.

use super::ast::{Body, Expr};
use super::diagnostic::Diagnostic;
use super::heredoc::without_empty;
use super::lower::Lower;
use super::source::{FileId, SourceMap, Span};

/// Parses a template or variables file.
///
/// # Errors
/// The first thing that is not HCL, with its place.
pub fn parse_body(sources: &SourceMap, file: FileId) -> Result<Body, Diagnostic> {
    let text = &sources.get(file).text;
    let body = hcl_edit::parser::parse_body(&without_empty(text)).map_err(|error| explain(text, file, &error))?;
    Lower { text, file }.body(&body, text.len())
}

/// Parses one expression: what `-var` gives a variable that is not a string, or a line of the
/// console.
///
/// # Errors
/// The first thing that is not HCL, with its place.
pub fn parse_expr(sources: &SourceMap, file: FileId) -> Result<Expr, Diagnostic> {
    let text = &sources.get(file).text;
    let expr = hcl_edit::parser::parse_expr(&without_empty(text)).map_err(|error| explain(text, file, &error))?;
    Lower { text, file }.expr(&expr)
}

/// Parses text with interpolations that stands outside of quotes, such as a template file.
///
/// # Errors
/// The first thing that is not HCL, with its place.
pub fn parse_template(sources: &SourceMap, file: FileId) -> Result<Expr, Diagnostic> {
    let text = &sources.get(file).text;
    let template = text
        .parse::<hcl_edit::template::Template>()
        .map_err(|error| explain(text, file, &error))?;
    let whole = Span { file, start: 0, end: text.len() as u32 };
    Lower { text, file }.bare_template(&template, whole)
}

/// Turns the parser's complaint into one that says what to do in the cases people meet.
fn explain(text: &str, file: FileId, error: &hcl_edit::parser::Error) -> Diagnostic {
    let offset = error.location().offset().min(text.len());
    let start = floor_char(text, offset);
    let end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
    let span = Span { file, start: start as u32, end: end as u32 };
    let rest = &text[start..];
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    let said = error.message();
    let detail = said.strip_prefix("invalid ").map_or(said, |_| said);

    let diagnostic = Diagnostic::error("this is not valid HCL").at(span);
    if said.contains("redefined attribute") {
        let name: String =
            rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '-').collect();
        let span = Span { end: span.start + name.len() as u32, ..span };
        return Diagnostic::error(format!("`{name}` is set twice in this block"))
            .at(span)
            .help("keep one of the two");
    }
    if said.contains("nesting") || said.contains("depth") || said.contains("recursion") {
        return Diagnostic::error("this expression is nested too deeply").at(span).note(said);
    }
    if rest.is_empty() {
        return diagnostic
            .label("the text ends here")
            .help("a `}`, `]`, `)`, quote or heredoc end marker is missing before the end")
            .note(detail.to_owned());
    }
    let quotes = line.matches('"').count() - line.matches("\\\"").count();
    if quotes % 2 == 1 && !line.contains("<<") {
        return diagnostic
            .label("a string that starts on this line does not end on it")
            .help("close the string with `\"`; for text of several lines use a heredoc (<<-EOT)");
    }
    if rest.starts_with('\'') {
        return diagnostic
            .label("single quotes do not make strings")
            .help("use double quotes: \"…\"");
    }
    if rest.starts_with(':') {
        return diagnostic.label("`:` is JSON's way to set a value").help("set arguments with `=`");
    }
    if rest.starts_with("==") {
        return diagnostic.label("`==` compares").help("set arguments with a single `=`");
    }
    if rest.starts_with(',') {
        return diagnostic
            .label("a comma does not belong here")
            .help("arguments of a block are separated by new lines, not commas");
    }
    diagnostic.label("unexpected here").note(detail.to_owned())
}

fn floor_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
