//! Where to go on after something that is wrong, so that one slip does not hide another and is
//! not reported as many.

use super::Parser;
use super::expression_errors::heredoc_marker;
use crate::tokens::{Token, TokenKind, tokenize_from, word};

impl Parser<'_> {
    /// Reads the text from `offset` on anew, outside of everything.
    pub(super) fn restart(&mut self, offset: usize) {
        self.tokens = tokenize_from(self.text, offset);
        self.at = 0;
        self.newlines = true;
        self.depth = 0;
    }

    /// Goes to the end of the item that starts with token `first` and turned out to be wrong at
    /// the current token. `nested` says that the item is in a block, whose end is left alone.
    pub(super) fn skip_item(&mut self, first: usize, nested: bool) {
        self.newlines = true;
        if let Some((text, end)) = self.relex.take() {
            let known = end.or_else(|| match text.kind {
                TokenKind::OpenHeredoc => {
                    self.heredoc_end(text.end, heredoc_marker(self.token_text(text)))
                }
                _ => Some(self.line_end(text.start)),
            });
            let Some(end) = known else { return self.skip_heredoc(text) };
            let kept = self.tokens.partition_point(|token| token.start < text.start);
            self.splice(kept.max(first), end);
        }
        let wrong = self.at;
        let ended = self.tokens[wrong].kind == TokenKind::Eof;
        if !ended && self.skip_balanced(first, wrong, nested) {
            return;
        }
        // Its brackets do not match: what stands no further in on a line of its own is the next.
        let margin = self.indentation(self.tokens[first].start);
        let from = self.tokens[if ended { first } else { wrong }].start;
        let mut offset = from;
        for line in self.text[from..].split_inclusive('\n') {
            let start = offset + (line.len() - line.trim_start_matches([' ', '\t']).len());
            let rest = &self.text[start..];
            let item = !word(rest).is_empty() || nested && rest.starts_with('}');
            if offset > from && item && self.indentation(start) <= margin {
                match nested {
                    true => self.splice(first, start),
                    false => self.resume = Some(start),
                }
                return;
            }
            offset += line.len();
        }
        self.at = self.tokens.len() - 1;
        if nested {
            // The block around it is not to be blamed for the rest.
            self.resume = Some(self.text.len());
        }
    }

    /// Goes to the next block at the left margin after a heredoc without an end. What is before it
    /// may be its text, of which nothing can be wrong.
    fn skip_heredoc(&mut self, open: Token) {
        let kept = self.tokens.partition_point(|token| token.start < open.start);
        self.splice(kept, open.end);
        let next = (kept..self.tokens.len()).find(|&index| self.is_header(index));
        self.resume = Some(next.map_or(self.text.len(), |index| self.tokens[index].start));
        self.at = self.tokens.len() - 1;
    }

    /// Goes to the end of the line on which all brackets of the item are closed, if they are.
    fn skip_balanced(&mut self, first: usize, wrong: usize, nested: bool) -> bool {
        let mut open = Vec::new();
        for index in first..self.tokens.len() {
            let token = self.tokens[index];
            if index > first && self.is_header(index) {
                return false;
            }
            match token.kind.nesting() {
                1 => open.push(token.kind),
                -1 => match open.pop() {
                    Some(opening) if closes(opening, token.kind) => {}
                    Some(_) => return false,
                    None if nested && token.kind == TokenKind::CloseBrace => {
                        self.at = index;
                        return true;
                    }
                    None => {}
                },
                _ => {}
            }
            let ends = token.ends_line(self.text) || token.kind == TokenKind::Eof;
            if open.is_empty() && index >= wrong && ends {
                self.at = (index + 1).min(self.tokens.len() - 1);
                return true;
            }
        }
        false
    }

    /// Replaces the tokens from number `kept` on by those of the text from `offset` on, read
    /// anew, and goes on there.
    fn splice(&mut self, kept: usize, offset: usize) {
        self.tokens.truncate(kept);
        self.at = kept;
        self.tokens.extend(tokenize_from(self.text, offset));
    }

    /// Where the line of `offset` ends.
    pub(super) fn line_end(&self, offset: usize) -> usize {
        self.text[offset..].find('\n').map_or(self.text.len(), |at| offset + at)
    }

    /// Where the line ends that is the end marker of a heredoc whose text starts at `from`.
    pub(super) fn heredoc_end(&self, from: usize, marker: &str) -> Option<usize> {
        let mut offset = from;
        self.text[from..].split_inclusive('\n').find_map(|line| {
            offset += line.len();
            (line.trim() == marker).then(|| offset - usize::from(line.ends_with('\n')))
        })
    }

    /// Reports the block whose `}` is missing, now that the file has ended within one that starts
    /// at `open`, and says where to go on.
    pub(super) fn unclosed_block(&mut self, open: Token) {
        let (culprit, _) = self.culprit(open);
        let error = self.unclosed(open);
        self.diagnostics.push(error);
        let next = (0..self.tokens.len())
            .find(|&index| self.tokens[index].start > culprit.start && self.is_header(index));
        self.resume = Some(next.map_or(self.text.len(), |index| self.tokens[index].start));
    }

    /// The opening bracket that has no end, as the indentation tells it, and what told: a closing
    /// bracket that stands further out, or else the next block at the left margin. Without such a
    /// sign it is the innermost that is open.
    pub(super) fn culprit(&self, open: Token) -> (Token, Option<Token>) {
        let mut stack: Vec<Token> = Vec::new();
        let mut header = None;
        // Blocks around `open` are looked at too: it may have the `}` that is theirs.
        let first = (0..self.tokens.len())
            .rev()
            .find(|&index| self.tokens[index].start <= open.start && self.is_header(index))
            .unwrap_or(0);
        for index in first..self.tokens.len() {
            let token = self.tokens[index];
            if let Some(&top) = stack.last() {
                if header.is_none() && self.is_header(index) {
                    header = Some((top, Some(token)));
                }
                let further_out = self.starts_line(token)
                    && self.indentation(token.start) < self.indentation(top.start);
                if token.kind.nesting() < 0 && (further_out || !closes(top.kind, token.kind)) {
                    return (top, Some(token));
                }
            }
            match token.kind.nesting() {
                1 => stack.push(token),
                -1 => drop(stack.pop()),
                _ => {}
            }
        }
        header.unwrap_or((stack.last().copied().unwrap_or(open), None))
    }

    /// Whether a block starts with this token at the left margin, as blocks of a file do.
    fn is_header(&self, index: usize) -> bool {
        let token = self.tokens[index];
        if token.kind != TokenKind::Ident
            || !(token.start == 0 || self.text[..token.start].ends_with('\n'))
        {
            return false;
        }
        let rest = self.tokens[index + 1..].iter();
        let mut rest = rest.skip_while(|token| {
            matches!(
                token.kind,
                TokenKind::Ident
                    | TokenKind::OpenQuote
                    | TokenKind::QuotedText
                    | TokenKind::CloseQuote
            )
        });
        rest.next().is_some_and(|token| token.kind == TokenKind::OpenBrace)
    }

    fn line_start(&self, offset: usize) -> usize {
        self.text[..offset].rfind('\n').map_or(0, |at| at + 1)
    }

    /// How far in the line of this byte starts.
    fn indentation(&self, offset: usize) -> usize {
        let line = &self.text[self.line_start(offset)..];
        line.len() - line.trim_start_matches([' ', '\t']).len()
    }

    /// Whether nothing stands before the token on its line.
    pub(super) fn starts_line(&self, token: Token) -> bool {
        let before = self.text[..token.start].trim_end_matches([' ', '\t']);
        before.is_empty() || before.ends_with('\n')
    }

    /// Whether the next token starts something new: an argument, a block or the end of one.
    pub(super) fn starts_item(&self) -> bool {
        let (next, second) = (self.peek(), self.peek_second());
        self.starts_line(next)
            && match next.kind {
                TokenKind::CloseBrace | TokenKind::Eof => true,
                TokenKind::Ident => matches!(
                    second.kind,
                    TokenKind::Equal
                        | TokenKind::OpenBrace
                        | TokenKind::OpenQuote
                        | TokenKind::Ident
                ),
                _ => false,
            }
    }
}

/// Whether the one kind of bracket is the other's end.
fn closes(open: TokenKind, close: TokenKind) -> bool {
    close
        == match open {
            TokenKind::OpenBrace => TokenKind::CloseBrace,
            TokenKind::OpenBracket => TokenKind::CloseBracket,
            TokenKind::OpenParen => TokenKind::CloseParen,
            _ => TokenKind::SequenceEnd,
        }
}
