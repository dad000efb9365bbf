//! The errors of arguments and blocks.

use super::Parser;
use crate::ast::Label;
use crate::diagnostic::Diagnostic;
use crate::tokens::{Token, TokenKind};

impl Parser<'_> {
    /// The next token is neither a name nor the end of the block.
    pub(super) fn no_item(&mut self) -> Diagnostic {
        let next = self.peek();
        if let Some(error) = self.invalid(next) {
            return error;
        }
        let error = Diagnostic::error(match next.kind {
            TokenKind::CloseBrace => "this `}` closes nothing",
            _ => "the name of an argument or block is expected here",
        });
        let error = error.at(self.span(next));
        match next.kind {
            TokenKind::CloseBrace => error.help("remove it, or look for a `}` too many before it"),
            TokenKind::OpenQuote => {
                let span = self.span_of(next.start, self.quoted_end(next));
                let error = Diagnostic { span: Some(span), ..error };
                error.help("names of arguments and blocks are written without quotes")
            }
            TokenKind::Number => error.help("a name does not start with a digit"),
            _ => error.label(format!("this is {}", self.describe(next))),
        }
    }

    /// Where the string ends that starts with `open`.
    fn quoted_end(&self, open: Token) -> usize {
        let mut after = self.tokens.iter().skip_while(|token| token.start <= open.start);
        after
            .find(|token| matches!(token.kind, TokenKind::CloseQuote | TokenKind::Unclosed))
            .map_or(open.end, |token| token.end)
    }

    /// After a name comes nothing that can follow one.
    pub(super) fn after_name(&mut self, name: Token) -> Diagnostic {
        let next = self.peek();
        let name_text = self.token_text(name);
        if let Some(error) = self.invalid(next) {
            return error;
        }
        let error = Diagnostic::error(format!("`=` and a value are expected after `{name_text}`"))
            .at(self.span(next));
        match next.kind {
            TokenKind::Newline | TokenKind::Eof | TokenKind::CloseBrace => {
                Diagnostic::error(format!("`{name_text}` has no value"))
                    .at(self.span(name))
                    .label("`= value` or a block in `{ }` is missing after this")
            }
            TokenKind::Colon => {
                error.label("`:` is JSON's way to set a value").help("set arguments with `=`")
            }
            TokenKind::EqualEqual => {
                error.label("`==` compares").help("set arguments with a single `=`")
            }
            TokenKind::FatArrow => error.help("set arguments with `=`"),
            TokenKind::Dot => {
                Diagnostic::error("the name of an argument has no dots").at(self.span(next)).help(
                    "a name with dots can only be a key of an object, in quotes: { \"a.b\" = 1 }",
                )
            }
            TokenKind::OpenParen => Diagnostic::error("a function cannot be called here")
                .at(self.span(name))
                .help("give what it returns to an argument: name = value"),
            TokenKind::Plus | TokenKind::Minus if self.peek_second().kind == TokenKind::Equal => {
                error.help("a value cannot be added to later; write all of it here")
            }
            _ if self.starts_value(next) => error
                .label("expected `=` before this")
                .help(format!("write {name_text} = {}", self.line_rest(next))),
            _ => error.label(format!("this is {}", self.describe(next))),
        }
    }

    /// After `=` comes the end of the line.
    pub(super) fn no_value(&mut self, name: Token, equals: Token) -> Diagnostic {
        let error =
            Diagnostic::error(format!("the value of `{}` is missing", self.token_text(name)))
                .at(self.span(equals))
                .label("nothing follows on this line");
        match self.peek_second().kind {
            TokenKind::OpenBrace | TokenKind::OpenBracket => {
                error.help("the opening bracket stands on the same line as the `=`")
            }
            _ => error.help("write a value, or null for the default"),
        }
    }

    /// After a block's name and labels comes no `{`.
    pub(super) fn no_brace(&mut self, name: Token, labels: &[Label]) -> Diagnostic {
        let next = self.peek();
        let name_text = self.token_text(name);
        if let Some(error) = self.invalid(next) {
            return error;
        }
        match next.kind {
            // `name "value"`, a forgotten `=`.
            TokenKind::Newline | TokenKind::Eof | TokenKind::CloseBrace | TokenKind::Dot
                if labels.len() == 1 =>
            {
                let label = &labels[0];
                let value = self.text[label.span.start as usize..].lines().next().unwrap_or("");
                Diagnostic::error(format!("`=` is missing after `{name_text}`"))
                    .at(label.span)
                    .label("expected `=` before this, or ` {` after it")
                    .help(format!("to set an argument write {name_text} = {}", value.trim()))
            }
            TokenKind::Equal => Diagnostic::error(format!("a `{name_text}` block has no `=`"))
                .at(self.span(next))
                .help("remove the `=`: a block's `{` follows its labels"),
            _ => Diagnostic::error(format!("the `{{` of this `{name_text}` block is missing"))
                .at(self.span(next))
                .label(format!("expected `{{`, this is {}", self.describe(next))),
        }
    }

    /// Whether a block's `{` stands on the next line; reports it and goes to it.
    pub(super) fn brace_on_next_line(&mut self, name: Token) -> bool {
        let (next, second) = (self.peek(), self.peek_second());
        let there = next.kind == TokenKind::Newline && second.kind == TokenKind::OpenBrace;
        if there {
            let name = self.token_text(name);
            self.diagnostics.push(
                Diagnostic::error(format!("the `{{` of this `{name}` block is on the next line"))
                    .at(self.span(second))
                    .help("put it at the end of the line before"),
            );
            self.take();
        }
        there
    }

    /// A block is followed by something on its line.
    pub(super) fn after_block(&mut self) -> Diagnostic {
        let next = self.peek();
        if let Some(error) = self.invalid(next) {
            return error;
        }
        let error = Diagnostic::error("something follows the block on its last line");
        match next.kind {
            TokenKind::Comma => Diagnostic::error("a comma does not belong here")
                .at(self.span(next))
                .help("blocks are separated by new lines, not commas"),
            _ => error
                .at(self.span(next))
                .label("expected the end of the line")
                .help("start a new line before this"),
        }
    }

    /// An argument's value is followed by something on its line.
    pub(super) fn after_value(&mut self) -> Diagnostic {
        let next = self.peek();
        let (text, before) = (self.token_text(next), self.previous());
        if let Some(error) = self.invalid(next) {
            return error;
        }
        let touching = before.end == next.start;
        let error = Diagnostic::error("something follows the value on its line")
            .at(self.span(next))
            .label("expected the end of the line");
        match next.kind {
            TokenKind::Comma => Diagnostic::error("a comma does not belong here")
                .at(self.span(next))
                .help("arguments of a block are separated by new lines, not commas"),
            TokenKind::CloseBrace => {
                let error = Diagnostic::error("this `}` stands behind an argument");
                error.at(self.span(next)).help("put it on a line of its own")
            }
            TokenKind::CloseBracket | TokenKind::CloseParen | TokenKind::SequenceEnd => {
                Diagnostic::error(format!("this `{text}` closes nothing"))
                    .at(self.span(next))
                    .help("remove it, or put what it closes before it")
            }
            TokenKind::Ident if touching && before.kind == TokenKind::Number => {
                let whole = format!("{}{text}", self.token_text(before));
                Diagnostic::error(format!("`{whole}` is not a number"))
                    .at(self.span(before).to(self.span(next)))
                    .help(format!("text stands in quotes: \"{whole}\""))
            }
            _ if touching && before.kind == TokenKind::CloseQuote => {
                error.help("a quote within a string is written \\\"")
            }
            TokenKind::Ident if matches!(text, "and" | "or") => {
                let sign = if text == "and" { "&&" } else { "||" };
                error.help(format!("write {sign} for `{text}`"))
            }
            TokenKind::Ident | TokenKind::OpenQuote
                if matches!(
                    self.peek_second().kind,
                    TokenKind::Equal | TokenKind::OpenBrace | TokenKind::QuotedText
                ) && next.kind == TokenKind::Ident =>
            {
                error.help("every argument and block starts on a line of its own")
            }
            TokenKind::Equal => error.help("an argument has one `=`; `==` compares"),
            TokenKind::Less if self.text[next.start..].starts_with("<<") => self.no_heredoc(next),
            _ if self.starts_value(next) => {
                error.help("an operator or a new line is missing before this")
            }
            _ => error,
        }
    }

    /// A block within a block on one line.
    pub(super) fn block_in_one_line(&self, open: Token, name: Token) -> Diagnostic {
        Diagnostic::error("a block on one line cannot hold another block")
            .at(self.span(name))
            .also(self.span(open), "this block is on one line")
            .help("start a new line after the `{` and before the `}`")
    }

    /// A block on one line goes on after its argument.
    pub(super) fn second_in_one_line(&mut self, open: Token) -> Diagnostic {
        let next = self.peek();
        if let Some(error) = self.invalid(next) {
            return error;
        }
        match next.kind {
            TokenKind::Newline => Diagnostic::error("a block that starts on one line ends on it")
                .at(self.span(open))
                .help("start a new line after the `{`, or put the `}` on this line"),
            TokenKind::Eof => self.unclosed(open),
            TokenKind::Comma | TokenKind::Ident => {
                Diagnostic::error("a block on one line holds one argument")
                    .at(self.span(next))
                    .also(self.span(open), "this block is on one line")
                    .help("put every argument on a line of its own")
            }
            _ => self.after_value(),
        }
    }

    /// The rest of the line from this token on.
    fn line_rest(&self, token: Token) -> &str {
        self.text[token.start..].lines().next().unwrap_or("").trim_end()
    }
}
