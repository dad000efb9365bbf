//! What is wrong, where, and what to do about it.

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
            None => self.note(format!("{what}: {}", names.join(", "))),
        }
    }
}

pub use ingot_suggest::closest;

/// Diagnostics in the order they were found.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one, unless the same was said of the same place before: evaluating an expression
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

    /// Whether there is none.
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

/// One diagnostic as text for people.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap, color: bool) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => codespan::Severity::Error,
        Severity::Warning => codespan::Severity::Warning,
    };
    let mut labels = Vec::new();
    if let Some(span) = diagnostic.span {
        labels.push(
            codespan::Label::primary(span.file.0, span.start as usize..span.end as usize)
                .with_message(&diagnostic.label),
        );
    }
    for (span, text) in &diagnostic.related {
        labels.push(
            codespan::Label::secondary(span.file.0, span.start as usize..span.end as usize)
                .with_message(text),
        );
    }
    let message = codespan::Diagnostic::new(severity)
        .with_message(&diagnostic.message)
        .with_labels(labels)
        .with_notes(diagnostic.notes.clone());
    let config = term::Config::default();
    let files = Files(sources);
    let shown = if color {
        let mut buffer = termcolor::Buffer::ansi();
        term::emit_to_write_style(&mut buffer, &config, &files, &message)
            .map(|()| String::from_utf8_lossy(buffer.as_slice()).into_owned())
    } else {
        term::emit_into_string(&config, &files, &message)
    };
    // Only a span outside of its file can fail here; the message is what matters then.
    shown.unwrap_or_else(|_| format!("error: {}\n", diagnostic.message))
}

struct Files<'a>(&'a SourceMap);

impl<'a> codespan_reporting::files::Files<'a> for Files<'a> {
    type FileId = u32;
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, id: u32) -> Result<&'a str, codespan_reporting::files::Error> {
        Ok(&self.0.get(super::FileId(id)).name)
    }

    fn source(&'a self, id: u32) -> Result<&'a str, codespan_reporting::files::Error> {
        Ok(&self.0.get(super::FileId(id)).text)
    }

    fn line_index(&'a self, id: u32, at: usize) -> Result<usize, codespan_reporting::files::Error> {
        let text = &self.0.get(super::FileId(id)).text;
        Ok(text.as_bytes()[..at.min(text.len())].iter().filter(|&&b| b == b'\n').count())
    }

    fn line_range(
        &'a self,
        id: u32,
        line: usize,
    ) -> Result<std::ops::Range<usize>, codespan_reporting::files::Error> {
        let text = &self.0.get(super::FileId(id)).text;
        let mut start = 0;
        let mut lines = 0;
        for piece in text.split_inclusive('\n') {
            if lines == line {
                return Ok(start..start + piece.len());
            }
            start += piece.len();
            lines += 1;
        }
        if line == lines {
            return Ok(start..start);
        }
        Err(codespan_reporting::files::Error::LineTooLarge { given: line, max: lines })
    }
}
