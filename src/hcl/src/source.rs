//! The texts a run has read, and places in them.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::decoded::Decoded;
use super::surrogates;

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
    /// Where the first byte was that is not UTF-8, in whose place U+FFFD stands.
    replaced: Option<u32>,
    /// The parts of the text, in bytes, of which no line is ever shown.
    concealed: Vec<Range<u32>>,
    /// Where its lines start, in bytes: a long text with many mistakes is not counted through for
    /// each.
    line_starts: Vec<usize>,
}

/// What some editors begin a file with: it is not part of the template.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Longer lines, in bytes, are not shown: the message would be lost in them.
const LONGEST_SHOWN: usize = 400;

/// All texts of a run.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// Adds a text that is not a file, under a name for diagnostics.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let text: String = text.into();
        self.add_read(name, Decoded::new(text.into_bytes()))
    }

    /// Adds a text that was read of no file, under a name for diagnostics.
    pub fn add_read(&mut self, name: impl Into<String>, read: Decoded) -> FileId {
        self.push_read(name.into(), None, read)
    }

    /// Reads a file of HCL, or takes what was read of it before: a pipe gives what it has once, and
    /// whatever is evaluated again is to come to the same.
    ///
    /// # Errors
    /// It cannot be read, or is not UTF-8 outside of comments.
    pub fn read(&mut self, path: &Path) -> std::io::Result<FileId> {
        self.read_or_known(path, Decoded::into_hcl)
    }

    /// Reads a file of JSON, as [`SourceMap::read`] one of HCL. Bytes that are not UTF-8 become U+FFFD;
    /// [`SourceMap::replaced`] says where there are some.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_json(&mut self, path: &Path) -> std::io::Result<FileId> {
        self.read_or_known(path, Ok)
    }

    fn read_or_known(
        &mut self,
        path: &Path,
        check: impl FnOnce(Decoded) -> std::io::Result<Decoded>,
    ) -> std::io::Result<FileId> {
        let name = path.display().to_string();
        let known = self.files.iter().find(|file| file.path.as_deref() == Some(path));
        match known.map(|file| (file.text.clone(), file.replaced)) {
            Some((text, replaced)) => Ok(self.push(name, Some(path.to_owned()), text, replaced)),
            None => {
                let read = check(read_decoded(path)?)?;
                Ok(self.push_read(name, Some(path.to_owned()), read))
            }
        }
    }

    /// The first character of a text that stands for a byte that is not UTF-8, if one does.
    pub fn replaced(&self, file: FileId) -> Option<Span> {
        let start = self.get(file).replaced?;
        let end = start + char::REPLACEMENT_CHARACTER.len_utf8() as u32;
        Some(Span { file, start, end })
    }

    /// The first escape of a text of JSON that is half of a character, if one is. It is read as U+FFFD.
    pub fn half_character(&self, file: FileId) -> Option<Span> {
        let start = surrogates::first_unpaired(&self.get(file).text, 0)?;
        let (start, end) = (start as u32, (start + surrogates::LENGTH) as u32);
        Some(Span { file, start, end })
    }

    /// A text as JSON to be parsed: halves of characters are escapes of U+FFFD in it, at the same places.
    pub fn json_text(&self, file: FileId) -> Cow<'_, str> {
        surrogates::replaced(&self.get(file).text)
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
        let SourceFile { concealed, .. } = self.get(span.file);
        if concealed.is_empty() {
            return true;
        }
        let Range { start, end } = self.lines(span);
        !concealed.iter().any(|range| range.start <= end && start <= range.end)
    }

    /// Whether the lines of `span` are short enough to be read in diagnostics. A generated file can be
    /// one line.
    pub fn lines_are_short(&self, span: Span) -> bool {
        let Range { start, end } = self.lines(span);
        let lines = self.get(span.file).text.get(start as usize..end as usize);
        lines.unwrap_or_default().lines().all(|line| line.len() <= LONGEST_SHOWN)
    }

    /// The bytes of the lines that `span` is on.
    fn lines(&self, span: Span) -> Range<u32> {
        let text = &self.get(span.file).text;
        let start = text.get(..span.start as usize).and_then(|before| before.rfind('\n'));
        let start = start.map_or(0, |at| at as u32 + 1);
        let rest = text.get(span.end as usize..).unwrap_or_default();
        let end = span.end + rest.find('\n').unwrap_or(rest.len()) as u32;
        start..end
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

    fn push_read(&mut self, name: String, path: Option<PathBuf>, mut read: Decoded) -> FileId {
        if read.text.starts_with(BYTE_ORDER_MARK) {
            read.skip(BYTE_ORDER_MARK.len_utf8());
        }
        let replaced = read.first_replaced().map(|at| at as u32);
        self.push(name, path, read.text, replaced)
    }

    fn push(
        &mut self,
        name: String,
        path: Option<PathBuf>,
        text: String,
        replaced: Option<u32>,
    ) -> FileId {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(ends).collect();
        let concealed = Vec::new();
        self.files.push(SourceFile { name, path, text, replaced, concealed, line_starts });
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
        let at = match text.is_char_boundary(span.start as usize) {
            true => span.start as usize,
            false => text.len(),
        };
        let line = self.line_index(span.file, at);
        let start = self.get(span.file).line_starts[line];
        (line + 1, text[start..at].chars().count() + 1)
    }

    /// The line that a byte is in, from 0.
    pub(super) fn line_index(&self, id: FileId, at: usize) -> usize {
        let starts = &self.get(id).line_starts;
        starts.partition_point(|&start| start <= at).saturating_sub(1)
    }

    /// The bytes of a line, which counts from 0, with its end; none if there are fewer lines.
    pub(super) fn line_range(&self, id: FileId, line: usize) -> Option<Range<usize>> {
        let SourceFile { text, line_starts, .. } = self.get(id);
        let start = *line_starts.get(line)?;
        Some(start..line_starts.get(line + 1).copied().unwrap_or(text.len()))
    }
}

/// The largest text that is read, in bytes: no template comes near it.
pub(crate) const LARGEST_TEXT: u64 = 32 << 20;
/// How long a pipe, such as a shell's `<(…)`, may take to give all it has.
const PIPE_TIMEOUT: Duration = Duration::from_secs(60);

/// The text of a file, or of a pipe that somebody writes to within a minute.
///
/// # Errors
/// It cannot be read, or has more than 32 MiB.
pub fn read_decoded(path: &Path) -> std::io::Result<Decoded> {
    read_bytes(path, LARGEST_TEXT).map(Decoded::new)
}

/// The bytes of a file that has at most `most` of them, or of a pipe that ends soon.
///
/// # Errors
/// It cannot be read, or has more.
pub fn read_bytes(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    read_within(path, most, PIPE_TIMEOUT)
}

fn read_within(path: &Path, most: u64, timeout: Duration) -> std::io::Result<Vec<u8>> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() {
        return read_at_most(path, most);
    }
    // Opening a pipe waits for its writer, and reading a device may never end: a thread of its own
    // does that, which ends with the process.
    let (send, receive) = std::sync::mpsc::channel();
    let waited_for = path.to_owned();
    std::thread::Builder::new().spawn(move || {
        // Nobody waits for it any more if this fails.
        let _ = send.send(read_at_most(&waited_for, most));
    })?;
    let received = receive.recv_timeout(timeout).map_err(|_| {
        let seconds = timeout.as_secs();
        let message = format!("it is not a regular file, and did not end within {seconds} seconds");
        std::io::Error::new(std::io::ErrorKind::TimedOut, message)
    });
    received?
}

/// The text that a reader gives, such as standard input, which may take its time.
///
/// # Errors
/// As of [`read_decoded`].
pub fn read_decoded_from(reader: impl Read) -> std::io::Result<Decoded> {
    at_most(reader, LARGEST_TEXT).map(Decoded::new)
}

fn read_at_most(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    at_most(File::open(path)?, most)
}

fn at_most(reader: impl Read, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let message =
            format!("it has more than {} MiB, which is the most that is read", most >> 20);
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
    }
    Ok(bytes)
}

/// Bytes that were read as text.
///
/// # Errors
/// They are not UTF-8, which the message says with the line.
pub fn text_of(bytes: Vec<u8>) -> std::io::Result<String> {
    let read = Decoded::new(bytes);
    read.error().map_or(Ok(read.text), Err)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_not_read_for_ever() {
        let error = |path: &Path| {
            let read = read_within(path, 1 << 20, Duration::from_millis(200));
            read.unwrap_err().to_string()
        };
        assert_eq!(
            error(Path::new("/dev/zero")),
            "it has more than 1 MiB, which is the most that is read"
        );
        let pipe = std::env::temp_dir().join(format!("ingot-text-{}", uuid::Uuid::new_v4()));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let nobody = error(&pipe);
        std::fs::remove_file(&pipe).unwrap();
        assert_eq!(nobody, "it is not a regular file, and did not end within 0 seconds");
        assert_eq!(read_decoded(Path::new("/dev/null")).unwrap().text, "");
    }
}
