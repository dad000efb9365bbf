//! What is wrong, where, and what to do about it.

use std::borrow::Cow;

use codespan_reporting::diagnostic as codespan;
use codespan_reporting::term;

use super::source::{SourceMap, Span};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The run cannot go on.
    Error,
    /// The run goes on, and the user should know.
    Warning,
}

/// One thing the user should know about a template.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// A few words to stand at the place.
    pub label: String,
    /// Other places that matter, with a few words each.
    pub related: Vec<(Span, String)>,
    /// What to do about it, and other facts.
    pub notes: Vec<String>,
    /// Whether the words quote nothing of the source but names, and so hold no value even where the
    /// source is [concealed](SourceMap::conceal).
    pub quotes_names_only: bool,
    /// What it says is declared nowhere, as expressions refer to it: `var.name`. Where it is
    /// declared in a file that is not read, that can be said too.
    pub missing: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            span: None,
            label: String::new(),
            related: Vec::new(),
            notes: Vec::new(),
            quotes_names_only: false,
            missing: None,
        }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(message) }
    }

    /// Points at `span`. A place that is already set stays: the innermost knows best.
    pub fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// Words to stand at the place.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Points at another place that matters.
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// Says what to do.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.notes.push(format!("help: {}", text.into()));
        self
    }

    /// Adds a fact.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Says that the words quote nothing of the source but names.
    pub fn names_only(mut self) -> Self {
        self.quotes_names_only = true;
        self
    }

    /// Says what is declared nowhere, as expressions refer to it.
    pub fn missing(mut self, address: impl Into<String>) -> Self {
        self.missing = Some(address.into());
        self
    }

    /// Suggests the closest of `names` to `wrong`, if one is close.
    pub fn suggest<'a>(self, wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match closest(wrong, names) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// Suggests the closest of `names` to `wrong`; where none is close, lists them after `what`.
    pub fn suggest_or_list<'a>(
        self,
        wrong: &str,
        what: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        match closest(wrong, names.iter().copied()) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None if names.is_empty() => self,
            None => self.note(format!("{what}: {}", list(names))),
        }
    }
}

/// As many names of a list are shown.
const LISTED: usize = 20;

/// Names with commas between them; of a long list the first, and how many more there are.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    // "and 1 more" is as long as the one.
    match names.len() > LISTED + 1 {
        true => format!("{} and {} more", names[..LISTED].join(", "), names.len() - LISTED),
        false => names.join(", "),
    }
}

pub use ingot_suggest::closest;

/// Diagnostics in the order they were found.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one, unless the same was reported at the same place before: evaluating an expression
    /// twice must not report it twice.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.0.contains(&diagnostic) {
            self.0.push(diagnostic);
        }
    }

    /// Adds many.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Diagnostic>) {
        other.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Whether any is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// How many are errors.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// Whether there are no diagnostics.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Diagnostic> {
        self.0.iter_mut()
    }

    /// Takes the value out of a result, keeping the diagnostic if there is none.
    pub fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    /// As text for people: each with its place, the source line and a caret.
    pub fn render(&self, sources: &SourceMap, color: bool) -> String {
        self.0.iter().map(|diagnostic| render(diagnostic, sources, color)).collect()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics(vec![diagnostic])
    }
}

/// One diagnostic as text for people. Of places whose lines are concealed or very long it shows the
/// line's number and the column.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap, color: bool) -> String {
    let mut labels = Vec::new();
    let mut without_line = Vec::new();
    let mut conceals = false;
    let mut last_line = 0;
    let primary = diagnostic.span.iter().map(|span| (*span, diagnostic.label.as_str(), true));
    let related = diagnostic.related.iter().map(|(span, text)| (*span, text.as_str(), false));
    for (span, text, primary) in primary.chain(related) {
        let concealed = !sources.may_show(span);
        conceals |= concealed;
        if concealed || !sources.lines_are_short(span) {
            without_line.push((span, text));
            continue;
        }
        let end = Span { start: span.end, ..span };
        last_line = last_line.max(sources.position(end).0);
        let range = span.start as usize..span.end as usize;
        let label = match primary {
            true => codespan::Label::primary(span.file.0, range),
            false => codespan::Label::secondary(span.file.0, range),
        };
        labels.push(label.with_message(text));
    }
    let severity = match diagnostic.severity {
        Severity::Error => codespan::Severity::Error,
        Severity::Warning => codespan::Severity::Warning,
    };
    let header = codespan::Diagnostic::new(severity).with_message(&diagnostic.message);
    let mut notes = diagnostic.notes.clone();
    if conceals {
        notes.push("the line is not shown, since it holds a value that may be secret".to_owned());
    }
    let labels_shown = !labels.is_empty();
    let whole = header.clone().with_labels(labels).with_notes(notes);
    let mut text = emit(&whole, sources, color);
    // In the same column as the places whose lines are shown, and the notes.
    let margin = match labels_shown {
        true => " ".repeat(last_line.to_string().len() + 1),
        false => " ".to_owned(),
    };
    let mut at = emit(&header, sources, color).trim_end().len().min(text.len());
    for (span, label) in without_line {
        let (line, column) = sources.position(span);
        let mut place = format!("\n{margin}┌─ {}:{line}:{column}", sources.get(span.file).name);
        if !label.is_empty() {
            place.push_str(&format!("\n{margin}│ {label}"));
        }
        text.insert_str(at, &place);
        at += place.len();
    }
    text
}

fn emit(diagnostic: &codespan::Diagnostic<u32>, sources: &SourceMap, color: bool) -> String {
    let config = term::Config::default();
    let files = Files(sources);
    let shown = if color {
        let mut buffer = termcolor::Buffer::ansi();
        term::emit_to_write_style(&mut buffer, &config, &files, diagnostic)
            .map(|()| String::from_utf8_lossy(buffer.as_slice()).into_owned())
    } else {
        term::emit_into_string(&config, &files, diagnostic)
    };
    // Only a span outside of its file can fail here; the message is what matters then.
    shown.unwrap_or_else(|_| format!("error: {}\n", diagnostic.message))
}

struct Files<'a>(&'a SourceMap);

impl<'a> codespan_reporting::files::Files<'a> for Files<'a> {
    type FileId = u32;
    type Name = &'a str;
    type Source = Cow<'a, str>;

    fn name(&'a self, id: u32) -> Result<&'a str, codespan_reporting::files::Error> {
        Ok(&self.0.get(super::FileId(id)).name)
    }

    fn source(&'a self, id: u32) -> Result<Cow<'a, str>, codespan_reporting::files::Error> {
        Ok(self.0.shown_text(super::FileId(id)))
    }

    fn line_index(&'a self, id: u32, at: usize) -> Result<usize, codespan_reporting::files::Error> {
        Ok(self.0.line_index(super::FileId(id), at))
    }

    fn line_range(
        &'a self,
        id: u32,
        line: usize,
    ) -> Result<std::ops::Range<usize>, codespan_reporting::files::Error> {
        let range = self.0.line_range(super::FileId(id), line);
        let too_large = codespan_reporting::files::Error::LineTooLarge { given: line, max: line };
        range.ok_or(too_large)
    }
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, render};
    use crate::source::{SourceMap, Span};

    #[test]
    fn a_very_long_line_is_not_shown() {
        let mut sources = SourceMap::default();
        let file = sources.add("min.pkr.json", "x".repeat(2000));
        let span = Span { file, start: 1500, end: 1501 };
        let error = Diagnostic::error("an invalid character").at(span).label("it is here");
        let text = render(&error, &sources, false);
        assert!(text.len() < 500, "{text}");
        assert!(text.contains("min.pkr.json:1:1501") && text.contains("it is here"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
