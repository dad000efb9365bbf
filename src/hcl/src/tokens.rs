//! Text to tokens, with templates, heredocs and comments, and every byte accounted for: what
//! stands between two tokens is spaces and tabs only.
//!
//! The lexer never fails. What is no token of the language becomes [`TokenKind::Invalid`], and
//! what is not closed before its line or file ends is followed by [`TokenKind::Unclosed`], so that
//! what comes after can be read all the same.

use super::source::{FileId, Span};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum TokenKind {
    Ident,
    Number,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    OpenParen,
    CloseParen,
    /// `"` at the start of a string.
    OpenQuote,
    /// `"` at its end.
    CloseQuote,
    /// `<<EOT` or `<<-EOT` and the end of its line.
    OpenHeredoc,
    /// The marker at the end, with the white space before it.
    CloseHeredoc,
    /// Text in quotes, with its escapes.
    QuotedText,
    /// Text of a heredoc or template file: at most to the end of a line, which belongs to it.
    Text,
    /// `${` or `${~`
    Interpolation,
    /// `%{` or `%{~`
    Directive,
    /// `}` or `~}` at the end of one of the two above.
    SequenceEnd,
    Star,
    Slash,
    Percent,
    Plus,
    Minus,
    Equal,
    Less,
    Greater,
    Bang,
    Question,
    Colon,
    Dot,
    Comma,
    EqualEqual,
    NotEqual,
    GreaterEqual,
    LessEqual,
    And,
    Or,
    DoubleColon,
    Ellipsis,
    FatArrow,
    /// `#…` and `//…` with the end of the line, `/*…*/` without.
    Comment,
    Newline,
    /// The end of the text.
    Eof,
    /// A character that the language does not use.
    Invalid,
    /// `/*` without `*/`: all the rest of the text.
    OpenComment,
    /// Nothing, where a string's line or a heredoc's text ended before its end came.
    Unclosed,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Token {
    /// Its text.
    pub fn text(self, source: &str) -> &str {
        source.get(self.start..self.end).unwrap_or("")
    }

    /// Its place.
    pub fn span(self, file: FileId) -> Span {
        Span { file, start: self.start as u32, end: self.end as u32 }
    }

    /// Whether the line ends with it: a newline, or a comment that takes the newline along.
    pub fn ends_line(self, source: &str) -> bool {
        match self.kind {
            TokenKind::Newline => true,
            TokenKind::Comment => self.text(source).ends_with('\n'),
            _ => false,
        }
    }
}

impl TokenKind {
    /// What it opens (1) or closes (-1).
    pub fn nesting(self) -> isize {
        match self {
            TokenKind::OpenBrace
            | TokenKind::OpenBracket
            | TokenKind::OpenParen
            | TokenKind::Interpolation
            | TokenKind::Directive => 1,
            TokenKind::CloseBrace
            | TokenKind::CloseBracket
            | TokenKind::CloseParen
            | TokenKind::SequenceEnd => -1,
            _ => 0,
        }
    }
}

/// The tokens of a template or variables file, or of an expression. The last is
/// [`TokenKind::Eof`].
pub fn tokenize(text: &str) -> Vec<Token> {
    tokenize_from(text, 0)
}

/// As [`tokenize`], from the byte `start` on.
pub(crate) fn tokenize_from(text: &str, start: usize) -> Vec<Token> {
    Lexer { text, at: start, tokens: Vec::new(), modes: vec![Mode::Code { braces: 0 }] }.run()
}

/// The tokens of a template file: text with `${…}` and `%{…}`, without quotes around it.
pub(crate) fn tokenize_template(text: &str) -> Vec<Token> {
    Lexer { text, at: 0, tokens: Vec::new(), modes: vec![Mode::Bare] }.run()
}

/// The word at the start of `text`, if one is there.
pub fn word(text: &str) -> &str {
    let mut chars = text.char_indices();
    match chars.next() {
        Some((_, first)) if first == '_' || unicode_ident::is_xid_start(first) => {}
        _ => return "",
    }
    let end = chars.find(|(_, c)| *c != '-' && !unicode_ident::is_xid_continue(*c));
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

/// What is being read. Modes are stacked rather than called, so that no nesting is too deep.
enum Mode<'a> {
    Code { braces: usize },
    Quote,
    Heredoc { marker: &'a str, line_start: bool },
    Bare,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
    modes: Vec<Mode<'a>>,
}

impl<'a> Lexer<'a> {
    fn run(mut self) -> Vec<Token> {
        while self.at < self.text.len() {
            match self.modes.last() {
                Some(Mode::Quote) => self.quoted(),
                Some(&Mode::Heredoc { marker, line_start }) => self.heredoc(marker, line_start),
                Some(Mode::Bare) => self.text_piece(),
                Some(Mode::Code { .. }) | None => self.code(),
            }
        }
        if let Some(Mode::Quote | Mode::Heredoc { .. }) = self.modes.last() {
            self.push(TokenKind::Unclosed, 0);
        }
        self.push(TokenKind::Eof, 0);
        self.tokens
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: TokenKind, length: usize) {
        self.tokens.push(Token { kind, start: self.at, end: self.at + length });
        self.at += length;
    }

    fn code(&mut self) {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        match bytes[0] {
            b' ' | b'\t' => self.at += 1,
            b'"' => {
                self.push(TokenKind::OpenQuote, 1);
                self.modes.push(Mode::Quote);
            }
            b'#' => self.push(TokenKind::Comment, line_length(rest)),
            b'/' if bytes.get(1) == Some(&b'/') => {
                self.push(TokenKind::Comment, line_length(rest));
            }
            b'/' if bytes.get(1) == Some(&b'*') => match rest[2..].find("*/") {
                Some(end) => self.push(TokenKind::Comment, end + 4),
                None => self.push(TokenKind::OpenComment, rest.len()),
            },
            b'0'..=b'9' => self.push(TokenKind::Number, number_length(bytes)),
            b'{' => self.open_brace(),
            b'}' => self.close_brace(TokenKind::CloseBrace, 1),
            b'~' if bytes.get(1) == Some(&b'}') => self.close_brace(TokenKind::SequenceEnd, 2),
            b'<' if heredoc_intro(rest).is_some() => {
                let (length, marker) = heredoc_intro(rest).unwrap_or_default();
                self.push(TokenKind::OpenHeredoc, length);
                self.modes.push(Mode::Heredoc { marker, line_start: true });
            }
            _ => match word(rest) {
                "" => {
                    let (kind, length) = symbol(rest);
                    self.push(kind, length);
                }
                word => self.push(TokenKind::Ident, word.len()),
            },
        }
    }

    fn open_brace(&mut self) {
        self.push(TokenKind::OpenBrace, 1);
        if let Some(Mode::Code { braces }) = self.modes.last_mut() {
            *braces += 1;
        }
    }

    fn close_brace(&mut self, kind: TokenKind, length: usize) {
        let nested = self.modes.len() > 1;
        match self.modes.last_mut() {
            Some(Mode::Code { braces: 0 }) if nested => {
                self.modes.pop();
                self.push(TokenKind::SequenceEnd, length);
            }
            Some(Mode::Code { braces }) => {
                *braces = braces.saturating_sub(1);
                self.push(kind, length);
            }
            _ => self.push(kind, length),
        }
    }

    /// `${` and `%{`, if one of them is here.
    fn sequence(&mut self) -> bool {
        let rest = self.rest();
        let kind = match () {
            () if rest.starts_with("${") => TokenKind::Interpolation,
            () if rest.starts_with("%{") => TokenKind::Directive,
            () => return false,
        };
        self.push(kind, if rest[2..].starts_with('~') { 3 } else { 2 });
        self.modes.push(Mode::Code { braces: 0 });
        true
    }

    fn quoted(&mut self) {
        if self.sequence() {
            return;
        }
        let rest = self.rest();
        match rest.as_bytes()[0] {
            b'"' => {
                self.push(TokenKind::CloseQuote, 1);
                self.modes.pop();
            }
            b'\n' | b'\r' => {
                self.push(TokenKind::Unclosed, 0);
                self.modes.pop();
            }
            b'$' | b'%' => self.push(TokenKind::QuotedText, sigil_length(rest)),
            _ => {
                let mut end = rest.len();
                let mut chars = rest.char_indices();
                while let Some((at, c)) = chars.next() {
                    match c {
                        '$' | '%' | '"' | '\n' | '\r' => {
                            end = at;
                            break;
                        }
                        '\\' if !rest[at + 1..].starts_with(['\n', '\r']) => drop(chars.next()),
                        _ => {}
                    }
                }
                self.push(TokenKind::QuotedText, end);
            }
        }
    }

    fn heredoc(&mut self, marker: &str, line_start: bool) {
        let rest = self.rest();
        let line = &rest[..line_length(rest)];
        if line_start && line.trim() == marker {
            self.push(TokenKind::CloseHeredoc, line.trim_end_matches(['\n', '\r']).len());
            self.modes.pop();
            return;
        }
        self.text_piece();
        let ended = self.tokens.last().is_some_and(|token| token.text(self.text).ends_with('\n'));
        if let Some(Mode::Heredoc { line_start, .. }) = self.modes.last_mut() {
            *line_start = ended;
        } else if let Some(Mode::Heredoc { line_start, .. }) = self.modes.iter_mut().rev().nth(1) {
            *line_start = false;
        }
    }

    /// Text outside of quotes, to the end of its line or to what is to be evaluated.
    fn text_piece(&mut self) {
        if self.sequence() {
            return;
        }
        let rest = self.rest();
        let length = match rest.as_bytes()[0] {
            b'$' | b'%' => sigil_length(rest),
            _ => {
                let line = &rest[..line_length(rest)];
                line.find(['$', '%']).unwrap_or(line.len())
            }
        };
        self.push(TokenKind::Text, length);
    }
}

/// The bytes of `$${` and `%%{`, or of a `$` or `%` that means itself.
fn sigil_length(rest: &str) -> usize {
    if rest.starts_with("$${") || rest.starts_with("%%{") { 3 } else { 1 }
}

/// The bytes of the line, with its end.
fn line_length(rest: &str) -> usize {
    rest.find('\n').map_or(rest.len(), |at| at + 1)
}

/// The bytes of the number. Dots are taken in the middle only: `1...` is the number 1.
fn number_length(bytes: &[u8]) -> usize {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let (mut at, mut end) = (0, 0);
    loop {
        match bytes.get(at) {
            Some(b'0'..=b'9') => at += 1,
            Some(b'e' | b'E') if digit(at + 1) => at += 2,
            Some(b'e' | b'E')
                if matches!(bytes.get(at + 1), Some(b'+' | b'-')) && digit(at + 2) =>
            {
                at += 3;
            }
            Some(b'.') => {
                at += 1;
                continue;
            }
            _ => return end,
        }
        end = at;
    }
}

/// The bytes of `<<EOT` with the end of its line, and the marker.
fn heredoc_intro(rest: &str) -> Option<(usize, &str)> {
    let after = rest.strip_prefix("<<")?;
    let marker = word(after.strip_prefix('-').unwrap_or(after));
    let tail = after.strip_prefix('-').unwrap_or(after).strip_prefix(marker)?;
    let line_end = tail.strip_prefix('\r').unwrap_or(tail).strip_prefix('\n')?;
    (!marker.is_empty()).then(|| (rest.len() - line_end.len(), marker))
}

/// The sign at the start of `rest` and its bytes.
fn symbol(rest: &str) -> (TokenKind, usize) {
    const SYMBOLS: &[(&str, TokenKind)] = &[
        ("...", TokenKind::Ellipsis),
        ("==", TokenKind::EqualEqual),
        ("!=", TokenKind::NotEqual),
        (">=", TokenKind::GreaterEqual),
        ("<=", TokenKind::LessEqual),
        ("&&", TokenKind::And),
        ("||", TokenKind::Or),
        ("::", TokenKind::DoubleColon),
        ("=>", TokenKind::FatArrow),
        ("\r\n", TokenKind::Newline),
        ("\n", TokenKind::Newline),
        ("[", TokenKind::OpenBracket),
        ("]", TokenKind::CloseBracket),
        ("(", TokenKind::OpenParen),
        (")", TokenKind::CloseParen),
        ("*", TokenKind::Star),
        ("/", TokenKind::Slash),
        ("%", TokenKind::Percent),
        ("+", TokenKind::Plus),
        ("-", TokenKind::Minus),
        ("=", TokenKind::Equal),
        ("<", TokenKind::Less),
        (">", TokenKind::Greater),
        ("!", TokenKind::Bang),
        ("?", TokenKind::Question),
        (":", TokenKind::Colon),
        (".", TokenKind::Dot),
        (",", TokenKind::Comma),
    ];
    SYMBOLS
        .iter()
        .find(|(sign, _)| rest.starts_with(sign))
        .map(|(sign, kind)| (*kind, sign.len()))
        .unwrap_or((TokenKind::Invalid, rest.chars().next().map_or(0, char::len_utf8)))
}
