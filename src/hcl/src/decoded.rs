//! Bytes that were read, as text.

use std::io;

use crate::tokens::{Token, TokenKind, tokenize};

/// A text that was read. Bytes that are not UTF-8 are U+FFFD in it, each of them one, as where Go reads
/// JSON.
#[derive(Debug, Clone, Default)]
pub struct Decoded {
    /// The text.
    pub text: String,
    /// Where in the text, ascending, a character stands for which byte that is not UTF-8.
    replaced: Vec<(u32, u8)>,
}

impl Decoded {
    /// The text of `bytes`.
    pub fn new(bytes: Vec<u8>) -> Decoded {
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => return Decoded { text, replaced: Vec::new() },
            Err(error) => error.into_bytes(),
        };
        let mut decoded = Decoded::default();
        for chunk in bytes.utf8_chunks() {
            decoded.text.push_str(chunk.valid());
            for &byte in chunk.invalid() {
                decoded.replaced.push((decoded.text.len() as u32, byte));
                decoded.text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        decoded
    }

    /// The same as HCL, which may have any bytes in its comments.
    ///
    /// # Errors
    /// It is not UTF-8 elsewhere, which the message says with the line.
    pub fn into_hcl(self) -> io::Result<Decoded> {
        match self.outside_comments() {
            None => Ok(self),
            Some(at) => Err(not_utf8(self.line(at))),
        }
    }

    /// Where the first byte is that is not UTF-8.
    pub fn first_replaced(&self) -> Option<usize> {
        self.replaced.first().map(|&(at, _)| at as usize)
    }

    /// The error of a text that is not UTF-8, with the first line that is not; none if it is.
    pub fn error(&self) -> Option<io::Error> {
        self.first_replaced().map(|at| not_utf8(self.line(at)))
    }

    /// The bytes of `text`, which has the characters U+FFFD of this text in their order: where they stand
    /// for bytes, these.
    pub fn restore(&self, text: &str) -> Vec<u8> {
        let mut places = self.text.match_indices(char::REPLACEMENT_CHARACTER);
        let mut pieces = text.split(char::REPLACEMENT_CHARACTER);
        let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
        for piece in pieces {
            let place = places.next().map(|(at, _)| at as u32);
            let find = |place: u32| self.replaced.binary_search_by_key(&place, |&(at, _)| at).ok();
            match place.and_then(find) {
                Some(index) => bytes.push(self.replaced[index].1),
                None => bytes.extend_from_slice("\u{fffd}".as_bytes()),
            }
            bytes.extend_from_slice(piece.as_bytes());
        }
        bytes
    }

    /// Takes off the first `length` bytes of the text, which are UTF-8.
    pub(crate) fn skip(&mut self, length: usize) {
        self.text.drain(..length);
        self.replaced.iter_mut().for_each(|(at, _)| *at = at.saturating_sub(length as u32));
    }

    /// The line, from 1, of a byte of the text.
    fn line(&self, at: usize) -> usize {
        self.text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    fn outside_comments(&self) -> Option<usize> {
        let first = self.first_replaced()?;
        let line_end = self.text[first..].find('\n').map_or(self.text.len(), |at| first + at);
        // What is no text at all is not read to its end.
        self.outside(&tokenize(&self.text[..line_end]), line_end)
            .or_else(|| self.outside(&tokenize(&self.text), self.text.len()))
    }

    /// The first character before `end` that stands for a byte and is in no comment among `tokens`.
    fn outside(&self, tokens: &[Token], end: usize) -> Option<usize> {
        let is_comment =
            |token: &&Token| matches!(token.kind, TokenKind::Comment | TokenKind::OpenComment);
        let mut comments = tokens.iter().filter(is_comment).peekable();
        let replaced = self.replaced.iter().map(|&(at, _)| at as usize);
        replaced.take_while(|&at| at < end).find(|&at| {
            while comments.next_if(|comment| comment.end <= at).is_some() {}
            comments.peek().is_none_or(|comment| at < comment.start)
        })
    }
}

/// The error of a text that is not UTF-8 in a line, which counts from 1.
pub(crate) fn not_utf8(line: usize) -> io::Error {
    let message = format!("line {line} is not UTF-8 text; save the file as UTF-8");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_hcl_may_have_any_bytes() {
        let comments: &[&[u8]] = &[
            b"# Pr\xfcft",
            b"a = 1 // \xe9\n/* \xff\n\xfe */ b = \"/*\" # \xe2\x82\n",
            b"\xef\xbb\xbf# \xe9\n",
            b"a = \"${b /* \xe9 */}\"\n",
        ];
        for text in comments {
            let read = Decoded::new(text.to_vec());
            assert!(read.error().is_some() && read.into_hcl().is_ok(), "{text:?}");
        }
        let others: &[(&[u8], usize)] = &[
            (b"# \xe9\n\na = \"\xe9\"\n", 3),
            (b"a = <<E\n# \xe9\nE\n", 2),
            (b"a\xe9 = 1 # \xe9\n", 1),
            (b"\xff\xfea\0", 1),
            (b"/* \xe9 */ \xe9\n", 1),
        ];
        for (text, line) in others {
            let error = Decoded::new(text.to_vec()).into_hcl().unwrap_err().to_string();
            assert_eq!(error, not_utf8(*line).to_string(), "{text:?}");
        }
    }

    #[test]
    fn what_was_replaced_is_restored() {
        let read = Decoded::new(b"a # \xef\xbf\xbd \xe9\xfc\n# \xef\xbf\xbd\n".to_vec());
        assert_eq!(
            read.restore("  a # \u{fffd} \u{fffd}\u{fffd}\n  # \u{fffd}\n"),
            b"  a # \xef\xbf\xbd \xe9\xfc\n  # \xef\xbf\xbd\n"
        );
    }

    #[test]
    fn each_byte_is_one_character() {
        let mut read = Decoded::new(b"\xef\xbb\xbfa\xe2\x82b\xe9".to_vec());
        assert_eq!(read.text, "\u{feff}a\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(read.first_replaced(), Some(4));
        read.skip(3);
        assert_eq!(
            (read.text.as_str(), read.first_replaced()),
            ("a\u{fffd}\u{fffd}b\u{fffd}", Some(1))
        );
    }
}
