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
///
/// Where the rules would join two tokens to another one, as they do with the numbers in
/// `a . 0 . 1`, the text is returned as it is.
pub fn format(text: &str) -> String {
    let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tokens = tokenize(plain);
    let mut layout = Layout { text: plain, gaps: gaps(&tokens), tokens };
    let lines = layout.lines();
    layout.indent(&lines);
    layout.space(&lines);
    layout.align(&lines, |line| (line.lead.clone(), line.assign.clone()));
    layout.align(&lines, |line| (line.lead.start..line.assign.end, line.comment.clone()));
    let formatted = layout.print();
    match same_tokens(&layout.tokens, plain, &tokenize(&formatted), &formatted) {
        true => formatted,
        false => text.to_owned(),
    }
}

fn same_tokens(a: &[Token], a_text: &str, b: &[Token], b_text: &str) -> bool {
    let same = |(a, b): (&Token, &Token)| a.kind == b.kind && a.text(a_text) == b.text(b_text);
    a.len() == b.len() && a.iter().zip(b).all(same)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::parse_body;
    use crate::{Diagnostics, SourceMap};

    /// Texts in canonical layout: what Packer made of the texts of the end-to-end tests.
    const CANONICAL: &[&str] = &[
        include_str!("../../../tests/e2e/fmt/alignment.out.hcl"),
        include_str!("../../../tests/e2e/fmt/blocks.out.hcl"),
        include_str!("../../../tests/e2e/fmt/comments.out.hcl"),
        include_str!("../../../tests/e2e/fmt/expressions.out.hcl"),
        include_str!("../../../tests/e2e/fmt/misindented.out.hcl"),
        include_str!("../../../tests/e2e/fmt/tabs.out.hcl"),
        include_str!("../../../tests/e2e/fmt/text.out.hcl"),
    ];

    /// What a text means: its tree without the places. None if it is not valid.
    fn meaning(text: &str) -> Option<String> {
        let mut sources = SourceMap::default();
        let file = sources.add("t", text);
        let mut diagnostics = Diagnostics::default();
        let body = parse_body(&sources, file, &mut diagnostics);
        let spans = regex::Regex::new(r"Span \{[^}]*\}").unwrap();
        let tree = format!("{body:?}");
        diagnostics.is_empty().then(|| spans.replace_all(&tree, "").into_owned())
    }

    #[test]
    fn line_ends_stay_and_byte_order_marks_go() {
        assert_eq!(format("a=1\r\nbb=2 # x\r\n"), "a  = 1\r\nbb = 2 # x\r\n");
        assert_eq!(format("\u{feff}a=1"), "a = 1");
        assert_eq!(format("a = 1\n\n  "), "a = 1\n\n  ");
        assert_eq!(format(""), "");
    }

    #[test]
    fn tokens_are_never_joined() {
        assert_eq!(format("a   = b . 0 . 1\n"), "a   = b . 0 . 1\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

        /// Other spaces and tabs between tokens lead to the same layout.
        #[test]
        fn scrambled_space_is_repaired(
            which in 0..CANONICAL.len(),
            gaps in prop::collection::vec(("[ \t]{0,6}", "[ \t]{1,5}"), 200),
        ) {
            let text = CANONICAL[which];
            let tokens = tokenize(text);
            let mut scrambled = String::new();
            for (index, token) in tokens.iter().enumerate() {
                let before = index.checked_sub(1).map(|before| tokens[before]);
                let gap = token.start - before.map_or(0, |token| token.end);
                let (at_start, between) = &gaps[index % gaps.len()];
                match before {
                    None => scrambled.push_str(at_start),
                    Some(before) if before.ends_line(text) && token.kind != TokenKind::Eof => {
                        scrambled.push_str(at_start);
                    }
                    Some(_) if gap > 0 => scrambled.push_str(between),
                    Some(_) => {}
                }
                scrambled.push_str(token.text(text));
            }
            prop_assert_eq!(format(&scrambled), text);
            prop_assert_eq!(meaning(&scrambled), meaning(text));
        }

        /// Whatever the text, its tokens stay; if it is valid, so does its meaning, and formatting
        /// it again changes nothing.
        #[test]
        fn formatting_keeps_tokens_and_meaning(
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30),
        ) {
            let text = pieces.concat();
            let formatted = format(&text);
            let (before, after) = (tokenize(&text), tokenize(&formatted));
            prop_assert!(same_tokens(&before, &text, &after, &formatted));
            if let Some(meaning_before) = meaning(&text) {
                prop_assert_eq!(Some(meaning_before), meaning(&formatted));
                prop_assert_eq!(format(&formatted), formatted);
            }
        }
    }

    const PIECES: &[&str] = &[
        "a = ",
        "bb=",
        "  c   =",
        "1",
        "x",
        "\"s\"",
        "\"${ x }\"",
        "\n",
        "\n",
        "\n\n",
        " # c\n",
        " // d\n",
        "/* e */",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ",",
        " , ",
        "+",
        " - ",
        "-",
        "!",
        "==",
        "?",
        ":",
        ".b",
        " . 0",
        "[0]",
        "...",
        "b {\n",
        "}\n",
        "c \"d\" {\n",
        "a = <<E\n t\nE\n",
        "<<-E\n  ${ x }\n  E\n",
        "[for x in y : x]",
        "f(",
        "\t",
        "  ",
        "é = ",
        "a = 1\n",
        "a = {\n",
    ];
}
