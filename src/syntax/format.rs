//! The canonical layout of HCL: what `ingot fmt` writes.
//!
//! Only the spaces between tokens change, never a token, a line break or what is inside of a
//! string, heredoc or comment. The rules are those of HashiCorp's formatter, so that a file that
//! one of the two has formatted is left alone by the other:
//!
//! - a line stands two spaces further in for every line before it that opened more brackets than
//!   it closed, whatever the number of those brackets;
//! - the `=` of arguments on lines that follow each other stand under each other, as far as their
//!   values end on their line; so do comments behind something;
//! - tokens of a line are one space apart, with the exceptions in [`separated`].

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::tokens::{Token, TokenKind, tokenize};

/// The text in canonical layout. The text should be valid; if it is not, it is laid out as well
/// as its tokens allow.
pub fn format(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tokens = tokenize(text);
    let mut layout = Layout { text, gaps: gaps(&tokens), tokens };
    let lines = layout.lines();
    layout.indent(&lines);
    layout.space(&lines);
    layout.align(&lines, |line| (line.lead.clone(), line.assign.clone()));
    layout.align(&lines, |line| (line.lead.start..line.assign.end, line.comment.clone()));
    layout.print()
}

/// The bytes between each token and the one before it.
fn gaps(tokens: &[Token]) -> Vec<usize> {
    let ends = std::iter::once(0).chain(tokens.iter().map(|token| token.end));
    tokens.iter().zip(ends).map(|(token, end)| token.start - end).collect()
}

/// A line's tokens, as places in the list of tokens. A string or heredoc belongs to the line that
/// it starts on. The three follow each other; the second and third may be empty.
struct Line {
    /// All that is not one of the others.
    lead: Range<usize>,
    /// From the `=` on.
    assign: Range<usize>,
    /// The comment at the end, if something stands before it.
    comment: Range<usize>,
}

struct Layout<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    /// How many spaces stand before each token.
    gaps: Vec<usize>,
}

impl Layout<'_> {
    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut start = 0;
        for (index, token) in self.tokens.iter().enumerate() {
            let end = match token.kind {
                TokenKind::Eof => index,
                _ if token.ends_line(self.text) => index + 1,
                _ => continue,
            };
            if start < end {
                lines.push(self.line(start..end));
                start = end;
            }
        }
        lines
    }

    fn line(&self, all: Range<usize>) -> Line {
        let commented = all.len() > 1 && self.tokens[all.end - 1].kind == TokenKind::Comment;
        let code = all.start..all.end - usize::from(commented);
        let equals = self.tokens[code.clone()]
            .iter()
            .skip(1)
            .position(|token| token.kind == TokenKind::Equal)
            .map(|position| code.start + 1 + position)
            // A value that goes on in the next line is not aligned.
            .filter(|&equals| self.nesting(equals..code.end) == 0)
            .unwrap_or(code.end);
        Line { lead: code.start..equals, assign: equals..code.end, comment: code.end..all.end }
    }

    /// How many more brackets are opened than closed.
    fn nesting(&self, range: Range<usize>) -> isize {
        self.tokens[range].iter().map(|token| token.kind.nesting()).sum()
    }

    fn indent(&mut self, lines: &[Line]) {
        // For each line that is still open: how many of its brackets are.
        let mut open: Vec<isize> = Vec::new();
        for line in lines {
            let first = line.lead.start;
            if self.tokens[first].kind == TokenKind::Newline {
                self.gaps[first] = 0;
                continue;
            }
            // What is after the start of a heredoc belongs to lines of text.
            let heredoc = self.tokens[line.lead.clone()]
                .iter()
                .position(|token| token.kind == TokenKind::OpenHeredoc)
                .map_or(line.lead.end, |position| first + position);
            let mut change = self.nesting(first..heredoc) + self.nesting(line.assign.clone());
            if change > 0 {
                self.gaps[first] = 2 * open.len();
                open.push(change);
                continue;
            }
            while change < 0
                && let Some(brackets) = open.pop()
            {
                change += brackets;
                if change > 0 {
                    open.push(change);
                }
            }
            self.gaps[first] = 2 * open.len();
        }
    }

    fn space(&mut self, lines: &[Line]) {
        for line in lines {
            for part in [&line.lead, &line.assign] {
                for right in part.clone().skip(1) {
                    let before = (right - 1 > part.start).then(|| self.tokens[right - 2]);
                    let (left, right_token) = (self.tokens[right - 1], self.tokens[right]);
                    let apart = separated(before, left, right_token, self.text);
                    self.gaps[right] = usize::from(apart);
                }
            }
        }
    }

    /// Brings one part of lines that follow each other under each other: `parts` gives what stands
    /// before it and the part itself, empty where a line has none.
    fn align(&mut self, lines: &[Line], parts: fn(&Line) -> (Range<usize>, Range<usize>)) {
        let runs = lines.chunk_by(|a, b| parts(a).1.is_empty() == parts(b).1.is_empty());
        for run in runs.filter(|run| !parts(&run[0]).1.is_empty()) {
            let widths: Vec<usize> = run.iter().map(|line| self.width(parts(line).0)).collect();
            let widest = widths.iter().copied().max().unwrap_or_default();
            for (line, width) in run.iter().zip(widths) {
                self.gaps[parts(line).1.start] = widest - width + 1;
            }
        }
    }

    /// The columns of tokens with the spaces before them; a column is what a reader would call a
    /// character.
    fn width(&self, range: Range<usize>) -> usize {
        range
            .map(|index| {
                self.gaps[index] + self.tokens[index].text(self.text).graphemes(true).count()
            })
            .sum()
    }

    fn print(&self) -> String {
        let mut out = String::with_capacity(self.text.len() + self.text.len() / 8);
        for (token, &gap) in self.tokens.iter().zip(&self.gaps) {
            out.extend(std::iter::repeat_n(' ', gap));
            out.push_str(token.text(self.text));
        }
        out
    }
}

/// Whether a space stands between `left` and `right`, two tokens of one line; `before` is what
/// stands before `left` on it.
fn separated(before: Option<Token>, left: Token, right: Token, text: &str) -> bool {
    use TokenKind::*;
    let before = before.map(|token| token.kind);
    match (left.kind, right.kind) {
        // Ends of lines and names with what makes them calls or references.
        (_, Newline)
        | (Ident, OpenParen | DoubleColon)
        | (DoubleColon, Ident)
        | (Dot, _)
        | (_, Dot | Comma | Ellipsis) => false,
        (Comma, _) => true,
        // What is inside of a string or heredoc is its text.
        (QuotedText | Text | OpenQuote | OpenHeredoc, _)
        | (_, QuotedText | Text | CloseQuote | CloseHeredoc) => false,
        // `for x in [1]` is not an index.
        (Ident, _) if left.text(text) == "in" && before == Some(Ident) => true,
        (Ident | Number, OpenBracket) => false,
        (closer, OpenBracket) if closer.nesting() < 0 => false,
        (Bang, _) => false,
        (Minus, _) => before.is_some_and(ends_operand),
        (OpenBrace, CloseBrace) => false,
        (OpenBrace, _) | (_, CloseBrace) => true,
        (Interpolation | Directive, OpenBrace) | (CloseBrace, SequenceEnd) => true,
        (SequenceEnd, Interpolation | Directive) => false,
        (opener, _) if opener.nesting() > 0 => false,
        (_, closer) if closer.nesting() < 0 => false,
        _ => true,
    }
}

/// Whether a minus after this is taken for a subtraction.
fn ends_operand(kind: TokenKind) -> bool {
    use TokenKind::*;
    !matches!(
        kind,
        OpenParen
            | OpenBrace
            | OpenBracket
            | Equal
            | Colon
            | Comma
            | Question
            | Plus
            | Star
            | Slash
            | Percent
            | Minus
            | EqualEqual
            | NotEqual
            | Greater
            | GreaterEqual
            | Less
            | LessEqual
            | And
            | Or
            | Bang
    )
}
