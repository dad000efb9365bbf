//! Strings, heredocs and template files: text with what is filled in.

use unicode_segmentation::UnicodeSegmentation;

use super::{MAX_DEPTH, Parser, Result};
use crate::ast::{Expr, ExprKind, TemplatePart};
use crate::diagnostic::{Diagnostic, closest};
use crate::source::Span;
use crate::tokens::{Token, TokenKind};

/// What a text consists of, before `%{…}` and what belongs to it are put together.
enum Piece {
    Text(String),
    Interpolation(Expr),
    If(Expr),
    Else,
    EndIf,
    For { names: (Option<String>, String), collection: Expr },
    EndFor,
}

/// Pieces with their places, as they are used up.
type Pieces = std::vec::IntoIter<(Piece, Span)>;

/// The directive that ended a run of parts, if it was not the end of the text.
type End = Option<(Piece, Span)>;

const DIRECTIVES: [&str; 5] = ["if", "else", "endif", "for", "endfor"];

impl Parser<'_> {
    /// A string in quotes.
    pub(super) fn quoted(&mut self) -> Result<ExprKind> {
        let open = self.take();
        let pieces = self.pieces(open)?;
        self.assemble(pieces)
    }

    pub(super) fn heredoc(&mut self) -> Result<ExprKind> {
        let open = self.take();
        let mut pieces = self.pieces(open)?;
        if self.token_text(open).starts_with("<<-") {
            unindent(&mut pieces);
        }
        self.assemble(pieces)
    }

    /// A text without quotes around it.
    pub(super) fn bare_template(&mut self) -> Result<Expr> {
        let start = Token { kind: TokenKind::Text, start: 0, end: 0 };
        let pieces = self.pieces(start)?;
        Ok(Expr { kind: self.assemble(pieces)?, span: self.span_of(0, self.text.len()) })
    }

    /// What stands between `open` and its end, which is taken too.
    fn pieces(&mut self, open: Token) -> Result<Vec<(Piece, Span)>> {
        let mut pieces: Vec<(Piece, Span)> = Vec::new();
        let mut height = 0;
        // Whether the last `~}` eats the white space that comes next.
        let mut eat = false;
        loop {
            // Within text every token counts.
            let token = self.tokens[self.at];
            match token.kind {
                TokenKind::QuotedText | TokenKind::Text => {
                    self.at += 1;
                    let mut text = match token.kind {
                        TokenKind::QuotedText => self.unescape(token)?,
                        _ => match self.token_text(token) {
                            sigil @ ("$${" | "%%{") => sigil[1..].to_owned(),
                            text => text.to_owned(),
                        },
                    };
                    if eat {
                        text = text.trim_start().to_owned();
                    }
                    eat = false;
                    pieces.push((Piece::Text(text), self.span(token)));
                }
                TokenKind::Interpolation | TokenKind::Directive => {
                    self.at += 1;
                    let before = pieces.last_mut();
                    if let Some((Piece::Text(text), _)) = before
                        && self.token_text(token).ends_with('~')
                    {
                        text.truncate(text.trim_end().len());
                    }
                    let piece = self.with_newlines(false, |parser| {
                        parser.height = 0;
                        let piece = match token.kind {
                            TokenKind::Interpolation => {
                                parser.filled(token).map(Piece::Interpolation)
                            }
                            _ => parser.directive(token),
                        };
                        let piece = piece.map_err(|error| parser.inside(token, open, error))?;
                        match parser.take_if(TokenKind::SequenceEnd) {
                            Some(end) => eat = parser.token_text(end).starts_with('~'),
                            None => return Err(parser.unclosed_sequence(token, open)),
                        }
                        Ok(piece)
                    })?;
                    height = height.max(self.height);
                    pieces.push((piece, self.span_from(token)));
                }
                TokenKind::CloseQuote | TokenKind::CloseHeredoc => {
                    self.at += 1;
                    break;
                }
                TokenKind::Eof if open.kind == TokenKind::Text => break,
                _ if open.kind == TokenKind::OpenHeredoc => {
                    return Err(self.unclosed_heredoc(open));
                }
                _ => return Err(self.unclosed_quote(open)),
            }
        }
        self.height = height;
        Ok(pieces)
    }

    /// What is between `${` and `}`.
    fn filled(&mut self, open: Token) -> Result<Expr> {
        if self.peek().kind == TokenKind::SequenceEnd {
            return Err(Diagnostic::error("this `${}` is empty")
                .at(self.span(open).to(self.span(self.peek())))
                .help("write $${} for the characters ${}"));
        }
        self.expr()
    }

    fn directive(&mut self, open: Token) -> Result<Piece> {
        let word = self.peek();
        let name = self.token_text(word);
        if word.kind != TokenKind::Ident || !DIRECTIVES.contains(&name) {
            let error = Diagnostic::error("`%{` starts a directive")
                .at(self.span(open).to(self.span(word)))
                .label(format!("one of {} is expected", DIRECTIVES.join(", ")));
            return Err(match closest(name, DIRECTIVES) {
                Some(right) => error.help(format!("did you mean `{right}`?")),
                None => error.help("write %%{ for the characters %{"),
            });
        }
        self.take();
        Ok(match name {
            "if" => Piece::If(self.expr()?),
            "else" => Piece::Else,
            "endif" => Piece::EndIf,
            "for" => Piece::For { names: self.for_names()?, collection: self.expr()? },
            _ => Piece::EndFor,
        })
    }

    fn assemble(&mut self, pieces: Vec<(Piece, Span)>) -> Result<ExprKind> {
        let lone = matches!(pieces.as_slice(), [(Piece::Interpolation(_), _)]);
        let base = self.height;
        match self.parts(&mut pieces.into_iter(), base)? {
            (parts, None) => Ok(as_text(parts, lone)),
            (_, Some((_, span))) => {
                Err(Diagnostic::error("this directive belongs to no open `%{`")
                    .at(span)
                    .help("a directive starts with %{ if … } or %{ for … }"))
            }
        }
    }

    /// Parts up to the `else`, `endif` or `endfor` that is not theirs, which is returned too.
    fn parts(&mut self, pieces: &mut Pieces, base: usize) -> Result<(Vec<TemplatePart>, End)> {
        if base > MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.height = self.height.max(base);
        let mut parts = Vec::new();
        while let Some((piece, span)) = pieces.next() {
            match piece {
                Piece::Text(text) => match parts.last_mut() {
                    Some(TemplatePart::Literal(before)) => before.push_str(&text),
                    _ if text.is_empty() => {}
                    _ => parts.push(TemplatePart::Literal(text)),
                },
                Piece::Interpolation(expr) => parts.push(TemplatePart::Interpolation(expr)),
                Piece::If(condition) => {
                    let (yes, mut end) = self.parts(pieces, base + 1)?;
                    let mut no = Vec::new();
                    if let Some((Piece::Else, _)) = end {
                        (no, end) = self.parts(pieces, base + 1)?;
                    }
                    match end {
                        Some((Piece::EndIf, _)) => parts.push(TemplatePart::If(condition, yes, no)),
                        end => return Err(not_ended(span, end, "%{ if … }", "%{ endif }")),
                    }
                }
                Piece::For { names: (key, value), collection } => {
                    match self.parts(pieces, base + 1)? {
                        (body, Some((Piece::EndFor, _))) => {
                            parts.push(TemplatePart::For { key, value, collection, body });
                        }
                        (_, end) => {
                            return Err(not_ended(span, end, "%{ for … }", "%{ endfor }"));
                        }
                    }
                }
                Piece::Else | Piece::EndIf | Piece::EndFor => {
                    return Ok((parts, Some((piece, span))));
                }
            }
        }
        Ok((parts, None))
    }

    /// The text of a piece of a string, with its escapes replaced.
    pub(super) fn unescape(&self, token: Token) -> Result<String> {
        let raw = self.token_text(token);
        if let "$${" | "%%{" = raw {
            return Ok(raw[1..].to_owned());
        }
        let mut text = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find('\\') {
            text.push_str(&rest[..at]);
            let escape = &rest[at..];
            let (character, length) = match escape.as_bytes().get(1) {
                Some(b'n') => (Some('\n'), 2),
                Some(b'r') => (Some('\r'), 2),
                Some(b't') => (Some('\t'), 2),
                Some(b'"') => (Some('"'), 2),
                Some(b'\\') => (Some('\\'), 2),
                Some(b'u') => (code_point(escape, 4), 6),
                Some(b'U') => (code_point(escape, 8), 10),
                _ => (None, 2),
            };
            let Some(character) = character else {
                let start = token.start + (raw.len() - escape.len());
                return Err(self.bad_escape(escape, start));
            };
            text.push(character);
            rest = &escape[length..];
        }
        text.push_str(rest);
        Ok(text)
    }
}

/// The character of `\u` and four digits, or of `\U` and eight.
fn code_point(escape: &str, digits: usize) -> Option<char> {
    let digits = escape.get(2..2 + digits)?;
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| hex).and_then(char::from_u32)
}

fn not_ended(span: Span, end: End, this: &str, wanted: &str) -> Diagnostic {
    let error = Diagnostic::error(format!("this `{this}` is never closed"))
        .at(span)
        .help(format!("put {wanted} where it ends"));
    match end {
        Some((_, other)) => error.also(other, "this does not end it"),
        None => error,
    }
}

/// Takes the white space that all lines of a `<<-` heredoc have in common from their starts. Lines
/// with nothing else do not count and stay as they are, as in HCL.
fn unindent(pieces: &mut [(Piece, Span)]) {
    let mut common = usize::MAX;
    let mut starts = Vec::new();
    let mut line_start = true;
    for (index, (piece, _)) in pieces.iter().enumerate() {
        let Piece::Text(text) = piece else {
            if line_start {
                common = 0;
            }
            line_start = false;
            continue;
        };
        let words = text.trim_start();
        if line_start && !(words.is_empty() && text.ends_with('\n')) {
            common = common.min(text[..text.len() - words.len()].graphemes(true).count());
            starts.push(index);
        }
        line_start = text.ends_with('\n');
    }
    for index in starts {
        if let (Piece::Text(text), _) = &mut pieces[index] {
            let cut = text.grapheme_indices(true).nth(common).map_or(text.len(), |(at, _)| at);
            text.drain(..cut);
        }
    }
}

/// A text without anything to evaluate is a plain string.
fn as_text(parts: Vec<TemplatePart>, lone: bool) -> ExprKind {
    match parts.as_slice() {
        [] => ExprKind::String(String::new()),
        [TemplatePart::Literal(text)] => ExprKind::String(text.clone()),
        _ => ExprKind::Template(parts, lone),
    }
}
