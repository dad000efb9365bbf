//! The texts a run has read, and places in them.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Which text of a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A range of bytes in one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The text.
    pub file: FileId,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// From the start of `self` to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span { file: self.file, start: self.start, end: other.end.max(self.start) }
    }
}

/// One text: a file, or a value given on the command line or in the environment.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// What diagnostics call it: the path as the user would write it.
    pub name: String,
    /// Where it is, if it is a file.
    pub path: Option<PathBuf>,
    /// The text.
    pub text: String,
    /// The parts of the text, in bytes, of which no line is ever shown.
    concealed: Vec<Range<u32>>,
}

/// All texts of a run.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// Adds a text that is not a file, under a name for diagnostics.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.push(SourceFile {
            name: name.into(),
            path: None,
            text: text.into(),
            concealed: Vec::new(),
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is not UTF-8.
    pub fn read(&mut self, path: &Path) -> std::io::Result<FileId> {
        let (name, text) = (path.display().to_string(), read_text(path)?);
        let path = Some(path.to_owned());
        Ok(self.push(SourceFile { name, path, text, concealed: Vec::new() }))
    }

    /// Lets diagnostics show no line of a text: it holds values, which may be secrets.
    pub fn conceal_all(&mut self, file: FileId) {
        if let Some(file) = self.files.get_mut(file.0 as usize) {
            file.concealed.clear();
            file.concealed.push(0..u32::MAX);
        }
    }

    /// Lets diagnostics show no line that a part of `span` is on.
    pub fn conceal(&mut self, span: Span) {
        if let Some(file) = self.files.get_mut(span.file.0 as usize) {
            file.concealed.push(span.start..span.end);
        }
    }

    /// Whether diagnostics may show the lines of `span`.
    pub fn may_show(&self, span: Span) -> bool {
        let SourceFile { text, concealed, .. } = self.get(span.file);
        if concealed.is_empty() {
            return true;
        }
        let start = text.get(..span.start as usize).and_then(|before| before.rfind('\n'));
        let start = start.map_or(0, |at| at as u32 + 1);
        let rest = text.get(span.end as usize..).unwrap_or_default();
        let end = span.end + rest.find('\n').unwrap_or(rest.len()) as u32;
        !concealed.iter().any(|range| range.start <= end && start <= range.end)
    }

    /// The text of a file with stars for what is concealed in it, each byte for a byte: for lines
    /// that stand between those of two places.
    pub(super) fn shown_text(&self, id: FileId) -> Cow<'_, str> {
        let SourceFile { text, concealed, .. } = self.get(id);
        if concealed.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut bytes = text.clone().into_bytes();
        for range in concealed {
            let end = bytes.len().min(range.end as usize);
            let bytes = bytes.get_mut(range.start as usize..end).unwrap_or_default();
            bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
        }
        String::from_utf8(bytes).map_or(Cow::Borrowed(""), Cow::Owned)
    }

    fn push(&mut self, mut file: SourceFile) -> FileId {
        // A byte order mark is not part of the template.
        if file.text.starts_with('\u{feff}') {
            file.text.drain(..'\u{feff}'.len_utf8());
        }
        self.files.push(file);
        FileId(self.files.len() as u32 - 1)
    }

    /// The names of all texts, as diagnostics show them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// The text behind an id that this map gave out.
    pub fn get(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    /// The text of a span.
    pub fn text(&self, span: Span) -> &str {
        self.get(span.file).text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Line and column of the span's start, both from 1; columns count characters.
    pub fn position(&self, span: Span) -> (usize, usize) {
        let text = &self.get(span.file).text;
        let before = text.get(..span.start as usize).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }
}

/// The text of a file.
///
/// # Errors
/// It cannot be read, or is not UTF-8, which the message says with the line.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    text_of(std::fs::read(path)?)
}

/// Bytes that were read as text.
///
/// # Errors
/// They are not UTF-8, which the message says with the line.
pub fn text_of(bytes: Vec<u8>) -> std::io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let message = format!("line {line} is not UTF-8 text; save the file as UTF-8");
        std::io::Error::new(std::io::ErrorKind::InvalidData, message)
    })
}
