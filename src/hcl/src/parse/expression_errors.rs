//! The errors of expressions.

use super::{Parser, Result};
use crate::ast::Expr;
use crate::diagnostic::Diagnostic;
use crate::tokens::{Token, TokenKind, word};

impl Parser<'_> {
    /// What a token is, for people.
    pub(super) fn describe(&self, token: Token) -> String {
        match token.kind {
            TokenKind::Newline => "the end of the line".to_owned(),
            TokenKind::Eof => "the end of the text".to_owned(),
            TokenKind::OpenHeredoc => "a heredoc".to_owned(),
            TokenKind::OpenQuote => "a string".to_owned(),
            _ => format!("`{}`", self.token_text(token)),
        }
    }

    /// Something else is expected than the next token.
    pub(super) fn unexpected(&mut self, wanted: &str) -> Diagnostic {
        let next = self.peek();
        let end = if next.kind == TokenKind::Newline { next.start } else { next.end };
        self.invalid(next).unwrap_or_else(|| {
            Diagnostic::error(format!("expected {wanted}"))
                .at(self.span_of(next.start, end))
                .label(format!("this is {}", self.describe(next)))
        })
    }

    /// What the language has no use for, if the token is such a thing.
    pub(super) fn invalid(&self, token: Token) -> Option<Diagnostic> {
        let text = self.token_text(token);
        let at = |message: &str| Some(Diagnostic::error(message).at(self.span(token)));
        if token.kind == TokenKind::OpenComment {
            let span = self.span_of(token.start, token.start + 2);
            let error = Diagnostic::error("this comment is never closed").at(span);
            return Some(error.help("put */ where it ends, or start single lines with #"));
        }
        let character = text.chars().next().filter(|_| token.kind == TokenKind::Invalid)?;
        let error = match character {
            '\'' => at("single quotes do not make strings")?.help("use double quotes: \"…\""),
            '`' => at("backquotes do not make strings")?
                .help("use double quotes: \"…\"; for text of several lines use a heredoc (<<-EOT)"),
            '“' | '”' | '„' | '«' | '»' | '‘' | '’' => {
                at("typographic quotes do not make strings")?
                    .help("replace them by plain double quotes: \"…\"")
            }
            ';' => at("semicolons are not allowed")?
                .help("arguments are separated by new lines, items of lists by commas"),
            '&' => at("`&` is not an operator")?.help("`&&` is the logical and"),
            '|' => at("`|` is not an operator")?.help("`||` is the logical or"),
            '~' | '^' => at("there are no bitwise operators")?.help("`!` is the logical not"),
            '$' if self.text[token.end..].starts_with('{') => {
                at("`${…}` is only allowed in strings")?
                    .help("write the expression without ${ and }, or all of it in quotes")
            }
            '\\' => at("a backslash is only allowed in strings")?
                .help("a line goes on in the next one within brackets, without a sign"),
            '\r' => at("a carriage return stands here without a new line")?
                .help("end lines with a new line, or with both"),
            '\u{feff}' | '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' => {
                at(&format!("an invisible character (U+{:04X}) stands here", u32::from(character)))?
                    .help("remove it")
            }
            space if space.is_whitespace() => {
                at(&format!("this space is not a plain one but U+{:04X}", u32::from(character)))?
                    .help("replace it by a plain space")
            }
            control if control.is_control() => {
                at(&format!("a control character (U+{:04X}) stands here", u32::from(character)))?
                    .help("remove it")
            }
            other => at(&format!("`{other}` is not allowed outside of strings"))?
                .help("text stands in double quotes"),
        };
        Some(error)
    }

    /// No expression starts with the next token.
    pub(super) fn no_expr(&mut self) -> Diagnostic {
        let next = self.peek();
        if let Some(error) = self.invalid(next) {
            return error;
        }
        let text = self.token_text(next);
        match next.kind {
            TokenKind::Less if self.text[next.start..].starts_with("<<") => self.no_heredoc(next),
            TokenKind::EqualEqual
            | TokenKind::NotEqual
            | TokenKind::Less
            | TokenKind::LessEqual
            | TokenKind::Greater
            | TokenKind::GreaterEqual
            | TokenKind::And
            | TokenKind::Or
            | TokenKind::Star
            | TokenKind::Slash
            | TokenKind::Percent
            | TokenKind::Plus => Diagnostic::error(format!("`{text}` has nothing on its left"))
                .at(self.span(next))
                .help("an operator stands between two values"),
            TokenKind::Comma => Diagnostic::error("a value is missing before this comma")
                .at(self.span(next))
                .help("remove the comma, or write the value"),
            TokenKind::CloseBracket | TokenKind::CloseParen | TokenKind::CloseBrace => self
                .unexpected("a value")
                .help(format!("what this `{text}` closes is missing, or it is one too many")),
            _ => self.unexpected("a value"),
        }
    }

    /// `<<` that starts no heredoc.
    pub(super) fn no_heredoc(&mut self, at: Token) -> Diagnostic {
        let error = Diagnostic::error("this is not how a heredoc starts");
        let line = self.text[at.start..].lines().next().unwrap_or("");
        let marker = line.trim_start_matches(['<', '-', '~', ' ', '"', '\'']);
        let span = self.span_of(at.start, at.start + line.trim_end().len());
        let error = error.at(span);
        let marker = word(marker);
        if let Some(end) = self.heredoc_end(self.line_end(at.start), marker) {
            self.relex = Some((at, Some(end)));
        }
        match marker {
            "" => error.help("write <<EOT or <<-EOT and a new line, and EOT on a line of its own"),
            marker => error.help(format!(
                "write <<{marker} or <<-{marker}, without quotes, spaces or anything behind it"
            )),
        }
    }

    /// `a ? b` without `: c`.
    pub(super) fn no_else(&mut self, question: Token) -> Diagnostic {
        self.unexpected("`:` and the value for when the condition is false")
            .also(self.span(question), "the condition ends here")
    }

    /// An opening bracket without its end.
    pub(super) fn unclosed(&self, open: Token) -> Diagnostic {
        let next = self.peek();
        let (culprit, witness) = match next.kind {
            TokenKind::Eof => self.culprit(open),
            _ => (open, Some(next)),
        };
        let opened = self.token_text(culprit);
        let closing = match culprit.kind {
            TokenKind::OpenBracket => "]",
            TokenKind::OpenParen => ")",
            _ => "}",
        };
        let error = Diagnostic::error(format!("this `{opened}` is never closed"))
            .at(self.span(culprit))
            .help(format!("put a `{closing}` where it ends"))
            .names_only();
        match witness {
            Some(witness) => error.also(
                self.span(witness),
                match witness.kind {
                    TokenKind::CloseBrace => "by its place, this closes something further out",
                    _ => "it should end before this",
                },
            ),
            None => error,
        }
    }

    /// An item of a list starts, unless something else does, which says that the list should have
    /// ended.
    pub(super) fn in_list(&self, open: Token) -> Result<()> {
        let ended = self.peek().kind == TokenKind::Eof || self.starts_item();
        if ended { Err(self.unclosed(open)) } else { Ok(()) }
    }

    /// After an item in brackets comes neither a comma nor the end.
    pub(super) fn no_separator(&mut self, open: Token) -> Diagnostic {
        let next = self.peek();
        let values_only = open.kind != TokenKind::OpenBrace;
        if let Some(error) = self.invalid(next) {
            return error;
        }
        match next.kind {
            TokenKind::Equal | TokenKind::Colon | TokenKind::FatArrow if values_only => {
                if self.starts_line(self.previous()) {
                    return self.unclosed(open);
                }
                Diagnostic::error("an item here has no name")
                    .at(self.span(next))
                    .help("values with names are an object: { name = value }")
            }
            _ if values_only && self.starts_item() => self.unclosed(open),
            _ if self.starts_value(next) => {
                let touching = self.previous().end == next.start;
                let error = Diagnostic::error("a comma is missing between two items")
                    .at(self.span(next))
                    .label("expected `,` before this");
                match touching && self.previous().kind == TokenKind::CloseQuote {
                    true => error.help("a quote within a string is written \\\""),
                    false => error,
                }
            }
            _ => self.not_closed(
                open,
                match open.kind {
                    TokenKind::OpenBracket => "`,` or `]`",
                    TokenKind::OpenParen => "`,` or `)`",
                    _ => "`,`, a new line or `}`",
                },
            ),
        }
    }

    /// The end of something in brackets is expected.
    pub(super) fn not_closed(&mut self, open: Token, wanted: &str) -> Diagnostic {
        let next = self.peek();
        let opened = self.token_text(open);
        if next.kind == TokenKind::Eof || self.starts_item() {
            return self.unclosed(open);
        }
        let closer = next.kind.nesting() < 0;
        if closer {
            let text = self.token_text(next);
            return Diagnostic::error(format!("`{opened}` is closed by `{text}`"))
                .at(self.span(next))
                .label(format!("expected {wanted}"))
                .also(self.span(open), "this is what is open")
                .names_only();
        }
        self.unexpected(wanted).also(self.span(open), format!("for this `{opened}`"))
    }

    /// After a key comes no `=`.
    pub(super) fn no_object_value(&mut self, open: Token, key: &Expr) -> Diagnostic {
        let next = self.peek();
        if let Some(error) = self.invalid(next) {
            return error;
        }
        match next.kind {
            TokenKind::Eof => self.unclosed(open),
            TokenKind::Newline | TokenKind::Comma | TokenKind::CloseBrace => {
                Diagnostic::error("this key has no value")
                    .at(key.span)
                    .label("expected `= value` after this")
                    .also(self.span(open), "in this object")
                    .help("an object is written { key = value }, a list [value, value]")
            }
            TokenKind::EqualEqual | TokenKind::FatArrow => {
                Diagnostic::error("a key and its value are joined by `=`")
                    .at(self.span(next))
                    .help("write { key = value }")
            }
            TokenKind::OpenBrace => Diagnostic::error("a block cannot stand in an object")
                .at(self.span(next))
                .also(self.span(open), "this is an object")
                .help("write `key = {` for an object in it; if a block is meant, remove the `=` before the outer `{`"),
            _ => self.unexpected("`=` after the key").also(self.span(open), "in this object"),
        }
    }

    /// A string whose line ends before it does.
    pub(super) fn unclosed_quote(&mut self, open: Token) -> Diagnostic {
        let end = self.line_end(open.start);
        self.relex = Some((open, Some(end)));
        let line = self.text[open.start..end].trim_end();
        Diagnostic::error("this string does not end on its line")
            .at(self.span_of(open.start, open.start + line.len()))
            .label("it starts here")
            .help("close the string with `\"`; for text of several lines use a heredoc (<<-EOT)")
            .names_only()
    }

    /// A heredoc whose marker does not come.
    pub(super) fn unclosed_heredoc(&mut self, open: Token) -> Diagnostic {
        let intro = self.token_text(open).trim_end();
        let marker = heredoc_marker(intro);
        self.relex = Some((open, None));
        let error =
            Diagnostic::error(format!("this heredoc is never closed: no line is `{marker}`"))
                .at(self.span_of(open.start, open.start + intro.len()))
                .help(format!("put {marker} alone on a line where the text ends"));
        let mut offset = open.end;
        for line in self.text[open.end..].split_inclusive('\n') {
            let start = offset + (line.len() - line.trim_start().len());
            if line.trim_start().starts_with(marker) {
                let span = self.span_of(start, start + line.trim().len());
                self.relex = Some((open, Some(self.line_end(start))));
                return error.also(span, "something else stands on this line");
            }
            offset += line.len();
        }
        error
    }

    /// After what is in `${…}` or `%{…}`, which starts with `token` in the text that starts with
    /// `text`, comes no `}`.
    pub(super) fn unclosed_sequence(&mut self, token: Token, text: Token) -> Diagnostic {
        let next = self.peek();
        let rest = &self.text[token.end..self.line_end(token.end)];
        let on_line = next.start < self.line_end(token.start) && rest.contains('}');
        let sign = &self.token_text(token)[..1];
        let error = match on_line && next.kind != TokenKind::OpenQuote {
            true => self.unexpected(&format!("`}}` at the end of this `{sign}{{`")),
            false => Diagnostic::error(format!("this `{sign}{{` is never closed"))
                .at(self.span(token))
                .help("put `}` after the expression"),
        };
        self.inside(token, text, error)
    }

    /// An error within `${…}` or `%{…}`.
    pub(super) fn inside(&mut self, token: Token, text: Token, error: Diagnostic) -> Diagnostic {
        // The lexer has taken what follows for a part of the expression.
        let innermost = self.relex.is_none();
        if innermost
            && text.kind == TokenKind::OpenHeredoc
            && self.heredoc_end(text.end, heredoc_marker(self.token_text(text))).is_none()
        {
            return self.unclosed_heredoc(text);
        }
        self.relex = Some((text, None));
        let sign = &self.token_text(token)[..1];
        let hint =
            format!("to pass {sign}{{ on as it is, to a shell for example, write {sign}{sign}{{");
        match error.notes.iter().any(|note| note.contains(&hint)) {
            true => error,
            false => error.note(hint),
        }
    }

    /// An escape that is none; `escape` starts with it, `start` is its place.
    pub(super) fn bad_escape(&self, escape: &str, start: usize) -> Diagnostic {
        let kind = escape.chars().nth(1);
        let length = match kind {
            Some('u' | 'U') => {
                let most = if kind == Some('u') { 4 } else { 8 };
                let digits = escape[2..].bytes().take(most);
                2 + digits.take_while(u8::is_ascii_hexdigit).count()
            }
            other => 1 + other.map_or(0, char::len_utf8),
        };
        let text = &escape[..length];
        let error = Diagnostic::error(format!("`{text}` is not an escape sequence"))
            .at(self.span_of(start, start + length));
        match kind {
            Some('u') => error.help("write \\u and the four hexadecimal digits of a character"),
            Some('U') => error.help("write \\U and the eight hexadecimal digits of a character"),
            Some('$' | '%') => {
                error.help("write $${ for ${ and %%{ for %{; others stay as they are")
            }
            _ => error
                .help("write \\\\ for a backslash")
                .note("escapes are \\n \\r \\t \\\" \\\\ \\uXXXX \\UXXXXXXXX"),
        }
    }

    /// Whether a comma is all that is missing before the next token, so that reading can go on.
    pub(super) fn only_comma_missing(&self) -> bool {
        let next = self.peek();
        self.starts_value(next) && self.starts_line(next) && !self.starts_item()
    }

    /// Whether an expression can start with this token.
    pub(super) fn starts_value(&self, token: Token) -> bool {
        matches!(
            token.kind,
            TokenKind::Ident
                | TokenKind::Number
                | TokenKind::OpenQuote
                | TokenKind::OpenHeredoc
                | TokenKind::OpenBracket
                | TokenKind::OpenBrace
                | TokenKind::OpenParen
        )
    }
}

/// The marker of `<<-EOT`.
pub(super) fn heredoc_marker(intro: &str) -> &str {
    intro.trim().trim_start_matches(['<', '-'])
}
