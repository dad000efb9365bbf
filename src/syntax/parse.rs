//! Text to syntax tree.

use super::ast::{Body, Expr};
use super::diagnostic::Diagnostic;
use super::heredoc;
use super::lower::Lower;
use super::source::{FileId, SourceMap, Span};

/// Parses a template or variables file.
///
/// # Errors
/// The first thing that is not HCL, with its place.
pub fn parse_body(sources: &SourceMap, file: FileId) -> Result<Body, Diagnostic> {
    let text = &sources.get(file).text;
    let body = parse(text, file, hcl_edit::parser::parse_body)?;
    Lower { text, file }.body(&body, text.len())
}

/// Parses one expression: what `-var` gives a variable that is not a string, or a line of the
/// console.
///
/// # Errors
/// The first thing that is not HCL, with its place.
pub fn parse_expr(sources: &SourceMap, file: FileId) -> Result<Expr, Diagnostic> {
    let text = &sources.get(file).text;
    let expr = parse(text, file, hcl_edit::parser::parse_expr)?;
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

/// Parses a text, in spite of what the parser takes otherwise than HCL.
fn parse<T>(
    text: &str,
    file: FileId,
    parser: fn(&str) -> Result<T, hcl_edit::parser::Error>,
) -> Result<T, Diagnostic> {
    let settled = heredoc::settled(text).map_err(|start| unclosed(text, file, start))?;
    let mut settled = settled.into_owned();
    let mut letters = KEY_LETTERS.chars();
    let mut last = None;
    loop {
        let error = match parser(&settled) {
            Ok(parsed) => return Ok(parsed),
            Err(error) => error,
        };
        // To HCL, the last of several keys of one name counts. The key gets another letter here;
        // its name is read from the text itself.
        let at = error.location().offset();
        if last.replace(at) != Some(at) {
            letters = KEY_LETTERS.chars();
        }
        let quote = usize::from(text[at.min(text.len())..].starts_with('"'));
        let first = text.get(at + quote..at + quote + 1);
        let plain = first.is_some_and(|first| first.starts_with(|c: char| c.is_ascii_alphabetic()));
        match letters.next() {
            Some(letter) if error.message().contains("unique object key") && plain => {
                settled.replace_range(at + quote..at + quote + 1, letter.encode_utf8(&mut [0; 4]));
            }
            _ => return Err(explain(text, file, &error)),
        }
    }
}

const KEY_LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn unclosed(text: &str, file: FileId, start: usize) -> Diagnostic {
    let line = text[start..].lines().next().unwrap_or_default();
    let span = Span { file, start: start as u32, end: (start + line.len()) as u32 };
    let diagnostic = Diagnostic::error("this string does not end on its line").at(span);
    match line.matches("${").count() > line.matches('}').count() {
        true => diagnostic.help("close `${` with `}`, and the string with `\"`"),
        false => {
            diagnostic.help("close it with `\"`; for text of several lines use a heredoc (<<-EOT)")
        }
    }
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
    if rest.trim().is_empty() {
        let end = Span { end: span.start, ..span };
        return Diagnostic::error("this is not valid HCL")
            .at(end)
            .label("the text ends here")
            .help("a `}`, `]`, `)`, quote or heredoc end marker is missing before the end");
    }
    if detail.contains("heredoc end delimiter") {
        return diagnostic
            .label("the heredoc that starts before this has no end")
            .help("write its end marker alone on the line after its text");
    }
    if line.contains("%{") {
        return diagnostic
            .label("a template directive on this line is not complete")
            .help("`%{ if … }` ends with `%{ endif }`, `%{ for … }` with `%{ endfor }`")
            .help("a `%{` that is just text is written `%%{`");
    }
    if said.contains("unique object key") {
        return Diagnostic::error("a key is there twice in these braces")
            .at(span)
            .help("keep one of the two");
    }
    if said.contains("invalid escape sequence") {
        return diagnostic
            .label("no escape sequence starts like this")
            .help("a backslash is written `\\\\`; escapes are \\n, \\r, \\t, \\\", \\uNNNN and \\UNNNNNNNN");
    }
    if rest.starts_with("\"${") && detail.contains("expected `{`") {
        return diagnostic
            .label("labels are plain text")
            .help("write the label out, without `${…}`");
    }
    if rest.starts_with('"') && said.contains("invalid block body") {
        return diagnostic
            .label("names of arguments are not in quotes")
            .help("write a map as a value: name = { \"key\" = \"value\" }");
    }
    if said.contains("invalid block body") && text[line_start..start].contains('{') {
        return diagnostic
            .label("a block on one line holds one argument")
            .help("write each argument on a line of its own");
    }
    if said.contains("invalid expression") {
        let span = match rest.starts_with(['\n', '\r']) {
            true => Span { end: span.start, ..span },
            false => span,
        };
        let diagnostic = Diagnostic::error("this is not valid HCL").at(span);
        if rest.starts_with('\'') {
            return diagnostic
                .label("single quotes do not make strings")
                .help("use double quotes: \"…\"");
        }
        return diagnostic.label("a value is missing here");
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
