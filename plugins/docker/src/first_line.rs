//! The first line of a command's output, which tells the number of its process.

use std::borrow::Cow;

use crate::piece::Piece;

/// What the first line of a command's output starts with. The number of its process follows. (What
/// starts with a byte up to 2 the client library takes for the header of a frame.)
pub(crate) const MARK: &str = "\u{5}ingot:";

/// The longest first line: the mark, a number and the end of the line.
const LONGEST_MARK: usize = MARK.len() + 24;

/// Takes the first line off a command's output: the number of its process.
#[derive(Default)]
pub(crate) struct FirstLine {
    held: Vec<u8>,
    /// That number, once it is there.
    pub process: Option<String>,
    /// What came first instead.
    pub other: Vec<u8>,
    over: bool,
}

impl FirstLine {
    /// What was held back of an output that ended too early to be ours.
    pub(crate) fn rest(&mut self) -> Option<Piece> {
        self.over = true;
        let rest = std::mem::take(&mut self.held);
        self.other.extend_from_slice(&rest);
        (!rest.is_empty()).then(|| Piece::Output(rest.into()))
    }

    /// What is the command's own of the next piece of its output.
    pub(crate) fn take<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.over {
            return Cow::Borrowed(bytes);
        }
        self.held.extend_from_slice(bytes);
        let common = self.held.len().min(MARK.len());
        let is_ours = self.held[..common] == MARK.as_bytes()[..common];
        let end = self.held.iter().take(LONGEST_MARK).position(|&byte| byte == b'\n');
        match end {
            Some(end) if is_ours && end > MARK.len() => {
                let number = String::from_utf8_lossy(&self.held[MARK.len()..end]);
                let number = number.trim().to_owned();
                if number.bytes().all(|byte| byte.is_ascii_digit()) {
                    self.process = Some(number);
                }
                self.over = true;
                let rest = self.held.split_off(end + 1);
                self.held.clear();
                Cow::Owned(rest)
            }
            None if is_ours && self.held.len() < LONGEST_MARK => Cow::Borrowed(&[]),
            // The shell did not even get there.
            _ => {
                self.over = true;
                self.other.clone_from(&self.held);
                self.other.truncate(2000);
                Cow::Owned(std::mem::take(&mut self.held))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_taken_off_in_whatever_pieces_it_comes() {
        let whole = b"\x05ingot:123\r\nout\n\xff\n";
        for cut in 0..whole.len() {
            let mut line = FirstLine::default();
            let mut rest = line.take(&whole[..cut]).into_owned();
            rest.extend(line.take(&whole[cut..]).iter());
            assert_eq!(
                (rest.as_slice(), line.process.as_deref()),
                (&b"out\n\xff\n"[..], Some("123"))
            );
        }
        let mut line = FirstLine::default();
        assert_eq!(&*line.take(b"/bin/sh: syntax error\n"), b"/bin/sh: syntax error\n");
        assert_eq!(line.process, None);
        let long = [MARK.as_bytes(), &[b'1'; 100]].concat();
        let mut line = FirstLine::default();
        assert_eq!(&*line.take(&long), long);
    }
}
