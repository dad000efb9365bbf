//! Output of any length, looked at line by line while it comes.

use ingot_sdk::OutputSink;
use parking_lot::Mutex;

use crate::pattern::Pattern;

/// How many of the first lines of a stream are kept to be shown.
const SHOWN_LINES: usize = 10;
/// How many bytes of a line are looked at at once: a longer one is looked at in pieces. What goes
/// from one into the next is not found, so that nothing can be ruled out of such a line.
const LONGEST_LINE: usize = 256 << 10;
/// How many bytes of a shown line are kept.
const SHOWN_LENGTH: usize = 500;

/// Looks for patterns in standard output and standard error.
pub(crate) struct Lines<'p> {
    streams: Mutex<[Stream<'p>; 2]>,
}

struct Stream<'p> {
    patterns: &'p [Pattern],
    /// For each pattern, the first line that has it.
    found: Vec<Option<String>>,
    pending: Vec<u8>,
    /// Whether a line was looked at in pieces.
    cut: bool,
    shown: Vec<String>,
    /// How many lines were not kept.
    left_out: usize,
}

impl<'p> Lines<'p> {
    /// Looks for `stdout` and `stderr`.
    pub(crate) fn new(stdout: &'p [Pattern], stderr: &'p [Pattern]) -> Self {
        let stream = |patterns: &'p [Pattern]| Stream {
            patterns,
            found: patterns.iter().map(|_| None).collect(),
            pending: Vec::new(),
            cut: false,
            shown: Vec::new(),
            left_out: 0,
        };
        Lines { streams: Mutex::new([stream(stdout), stream(stderr)]) }
    }

    /// What is wrong with a stream, which is called `name`; 0 is standard output.
    pub(crate) fn problems(&self, stream: usize, name: &str) -> Vec<String> {
        let mut streams = self.streams.lock();
        let stream = &mut streams[stream];
        stream.end();
        let results = stream.patterns.iter().zip(&stream.found);
        let problems = results.filter_map(|(pattern, found)| match (found, pattern.is_negated()) {
            (None, false) => Some(format!("{name} has no line with {:?}", pattern.text)),
            (Some(line), true) => {
                Some(format!("{name} has a line that {:?} forbids: {line}", pattern.text))
            }
            (None, true) if stream.cut => Some(format!(
                "{name} has a line of more than {} KiB, too long to rule out what {:?} forbids",
                LONGEST_LINE >> 10,
                pattern.text
            )),
            _ => None,
        });
        problems.collect()
    }

    /// The first lines of both, to be shown with a failure.
    pub(crate) fn shown(&self) -> Vec<String> {
        let mut streams = self.streams.lock();
        let mut lines = Vec::new();
        for (stream, name) in streams.iter_mut().zip(["stdout", "stderr"]) {
            stream.end();
            lines.extend(stream.shown.iter().map(|line| format!("{name}: {line}")));
            if stream.left_out > 0 {
                lines.push(format!("{name}: … and {} more lines", stream.left_out));
            }
        }
        lines
    }

    fn push(&self, stream: usize, bytes: &[u8]) {
        let mut streams = self.streams.lock();
        let stream = &mut streams[stream];
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            stream.pending.extend_from_slice(piece);
            let ends = piece.ends_with(b"\n");
            if ends || stream.pending.len() > LONGEST_LINE {
                stream.cut |= !ends;
                stream.line();
            }
        }
    }
}

impl Stream<'_> {
    fn line(&mut self) {
        let line = std::mem::take(&mut self.pending);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\n', '\r']);
        let short = || line.chars().take(SHOWN_LENGTH).collect::<String>();
        for (pattern, found) in self.patterns.iter().zip(&mut self.found) {
            if found.is_none() && pattern.is_in(line) {
                *found = Some(short());
            }
        }
        match self.shown.len() < SHOWN_LINES {
            true => self.shown.push(short()),
            false => self.left_out += 1,
        }
    }

    /// What is left has no end of a line.
    fn end(&mut self) {
        if !self.pending.is_empty() {
            self.line();
        }
    }
}

impl OutputSink for Lines<'_> {
    fn stdout(&self, bytes: &[u8]) {
        self.push(0, bytes);
    }

    fn stderr(&self, bytes: &[u8]) {
        self.push(1, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn patterns_are_found_in_lines_that_come_in_pieces() {
        let (stdout, stderr) = (patterns(&["two words", "!/^bad/"]), patterns(&["none"]));
        let lines = Lines::new(&stdout, &stderr);
        for piece in [&b"one\ntwo "[..], b"words\r\n", b"last"] {
            lines.stdout(piece);
        }
        lines.stderr(b"bad luck\n");
        assert!(lines.problems(0, "stdout").is_empty());
        assert_eq!(lines.problems(1, "stderr"), ["stderr has no line with \"none\""]);
        lines.stdout(b"bad\n");
        let shown = lines.shown();
        assert_eq!(
            shown,
            ["stdout: one", "stdout: two words", "stdout: last", "stdout: bad", "stderr: bad luck"]
        );
        assert_eq!(
            lines.problems(0, "stdout"),
            ["stdout has a line that \"!/^bad/\" forbids: bad"]
        );
    }

    #[test]
    fn nothing_is_ruled_out_of_a_line_that_was_cut() {
        let forbidden = patterns(&["!error", "!/^x+$/"]);
        let lines = Lines::new(&forbidden, &forbidden);
        lines.stdout(&[b' '; LONGEST_LINE - 2]);
        lines.stdout(b"err");
        lines.stdout(b"or\n");
        lines.stderr(b"fine\n");
        let why = "stdout has a line of more than 256 KiB, too long to rule out what";
        assert_eq!(
            lines.problems(0, "stdout"),
            [format!("{why} \"!error\" forbids"), format!("{why} \"!/^x+$/\" forbids")]
        );
        assert!(lines.problems(1, "stderr").is_empty());
    }

    #[test]
    fn output_without_end_fills_no_memory() {
        let wanted = patterns(&["the end"]);
        let lines = Lines::new(&wanted, &[]);
        for _ in 0..100 {
            lines.stdout(&[b'x'; 100_000]);
        }
        assert!(lines.streams.lock()[0].pending.len() <= LONGEST_LINE + 100_000);
        lines.stdout(b"\nthe end\n");
        assert!(lines.problems(0, "stdout").is_empty());
        assert!(lines.shown().iter().all(|line| line.len() < 2 * SHOWN_LENGTH));
    }
}
