//! What becomes of a command's output: it is shown, or kept.

use crate::{OutputSink, Ui};

/// The longest unfinished line that is kept: a longer one is shown in pieces, between words where
/// it has any, so that a word to be hidden is not torn.
const LONGEST_LINE: usize = 1024 * 1024;

/// An [`OutputSink`] that shows whole lines in the UI as they are completed. What is left at the
/// end without a newline is shown by [`UiOutput::finish`] or on drop.
pub struct UiOutput {
    ui: Ui,
    pending: parking_lot::Mutex<[Vec<u8>; 2]>,
}

impl UiOutput {
    /// Shows lines through `ui`: standard output as messages, standard error as errors.
    pub fn new(ui: Ui) -> Self {
        UiOutput { ui, pending: Default::default() }
    }

    fn push(&self, stream: usize, bytes: &[u8]) {
        let mut pending = self.pending.lock();
        let buffer = &mut pending[stream];
        buffer.extend_from_slice(bytes);
        let mut shown = 0;
        // What is left of earlier pieces has no end of a line.
        let mut from = buffer.len() - bytes.len();
        while let Some(length) = buffer[from..].iter().position(|&b| b == b'\n') {
            let end = from + length + 1;
            self.show(stream, &buffer[shown..end]);
            (shown, from) = (end, end);
        }
        if buffer.len() - shown > LONGEST_LINE {
            let blank = buffer[shown..].iter().rposition(u8::is_ascii_whitespace);
            let end = blank.map_or(buffer.len(), |blank| shown + blank + 1);
            self.show(stream, &buffer[shown..end]);
            shown = end;
        }
        buffer.drain(..shown);
    }

    fn show(&self, stream: usize, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        // A carriage return in the middle redraws the line on a terminal: keep what it ends as.
        let text = text.rsplit('\r').next().unwrap_or(text);
        if stream == 0 { self.ui.message(text) } else { self.ui.error(text) }
    }

    /// Shows what is left of unfinished lines.
    pub fn finish(&self) {
        let rest = {
            let mut pending = self.pending.lock();
            std::mem::take(&mut *pending)
        };
        for (stream, bytes) in rest.iter().enumerate() {
            if !bytes.is_empty() {
                self.show(stream, bytes);
            }
        }
    }
}

impl Drop for UiOutput {
    fn drop(&mut self) {
        self.finish();
    }
}

impl OutputSink for UiOutput {
    fn stdout(&self, bytes: &[u8]) {
        self.push(0, bytes);
    }

    fn stderr(&self, bytes: &[u8]) {
        self.push(1, bytes);
    }
}

/// How much [`CapturedOutput`] keeps of a stream, in bytes: many times what any answer takes, and no
/// more than a machine may be trusted with that prints for ever.
const MAX_CAPTURED: usize = 64 << 20;

/// An [`OutputSink`] that keeps what comes, for commands whose output is an answer: of each stream the
/// first 64 MiB, or as much as [`CapturedOutput::of_at_most`] says.
pub struct CapturedOutput {
    kept: parking_lot::Mutex<(Vec<u8>, Vec<u8>)>,
    most: usize,
}

impl Default for CapturedOutput {
    fn default() -> Self {
        CapturedOutput::of_at_most(MAX_CAPTURED)
    }
}

impl CapturedOutput {
    /// Keeps the first `most` bytes of each stream.
    pub fn of_at_most(most: usize) -> Self {
        CapturedOutput { kept: Default::default(), most }
    }

    /// Whether as much was written to standard output as is kept; there may have been more.
    pub fn is_full(&self) -> bool {
        self.lock().0.len() >= self.most
    }

    fn keep(&self, kept: &mut Vec<u8>, bytes: &[u8]) {
        let room = self.most.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// What was written to standard output so far, as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.lock().0).into_owned()
    }

    /// What was written to standard output so far.
    pub fn stdout_bytes(&self) -> Vec<u8> {
        self.lock().0.clone()
    }

    /// What was written to standard error so far, as text.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.lock().1).into_owned()
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, (Vec<u8>, Vec<u8>)> {
        self.kept.lock()
    }
}

impl OutputSink for CapturedOutput {
    fn stdout(&self, bytes: &[u8]) {
        self.keep(&mut self.lock().0, bytes);
    }

    fn stderr(&self, bytes: &[u8]) {
        self.keep(&mut self.lock().1, bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::RecordedOutput;

    #[test]
    fn output_is_shown_line_by_line_in_whatever_pieces_it_comes() {
        let said = Arc::new(RecordedOutput::default());
        let output = UiOutput::new(Ui::new(Arc::clone(&said) as Arc<dyn crate::EventSink>));
        for piece in [&b"one\ntw"[..], b"o\n\nfour\xff", b"\nprogress 1\rprogress 2\n", b"end"] {
            output.stdout(piece);
        }
        output.finish();
        assert_eq!(said.lines(), ["one", "two", "", "four\u{fffd}", "progress 2", "end"]);
    }

    #[test]
    fn endless_output_does_not_fill_the_memory() {
        let output = CapturedOutput::of_at_most(5);
        output.stdout(b"123");
        assert!(!output.is_full());
        output.stdout(b"45678");
        output.stdout(b"9");
        output.stderr(b"1234567");
        assert!(output.is_full());
        assert_eq!(
            (output.stdout_text().as_str(), output.stderr_text().as_str()),
            ("12345", "12345")
        );
    }

    #[test]
    fn an_endless_line_does_not_fill_the_memory() {
        let said = Arc::new(RecordedOutput::default());
        let output = UiOutput::new(Ui::new(Arc::clone(&said) as Arc<dyn crate::EventSink>));
        for _ in 0..40 {
            output.stdout(&b"word ".repeat(20_000));
        }
        assert!(output.pending.lock()[0].len() <= LONGEST_LINE);
        output.finish();
        let shown: usize = said.lines().iter().map(|line| line.matches("word").count()).sum();
        assert_eq!(shown, 40 * 20_000);
    }
}
