//! Text to syntax tree.
//!
//! A parser of our own, over the tokens that formatting needs anyway, because a template is judged
//! by what is said when it is wrong: every slip has its own words and its place, a file with
//! several slips has all of them reported, and how deep things nest is bounded.

mod body;
mod complain;
mod expr;
mod recover;
mod slips;
mod text;

use super::ast::{Body, Expr};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::source::{FileId, SourceMap, Span};
use super::tokens::{Token, TokenKind, tokenize, tokenize_template};

/// How deep blocks and expressions may nest, and how long a chain of operators or names may be.
/// Everything that walks the tree recurses as deep; templates that people write stay below 30.
pub const MAX_DEPTH: usize = 200;

/// The stack, in bytes, of threads that read or evaluate templates: what the main thread has, and
/// well above what [`MAX_DEPTH`] takes even without optimization.
pub const STACK_SIZE: usize = 8 << 20;

/// After so many errors of one file, more would not help.
const MAX_ERRORS: usize = 20;

type Result<T, E = Diagnostic> = std::result::Result<T, E>;

/// Parses a template or variables file. What is wrong is added to `diagnostics`; what could be
/// read is returned all the same.
pub fn parse_body(sources: &SourceMap, file: FileId, diagnostics: &mut Diagnostics) -> Body {
    let text = &sources.get(file).text;
    let mut parser = Parser::new(text, file, tokenize(text));
    let body = parser.file();
    let mut found: Vec<Diagnostic> = parser.diagnostics.into_iter().collect();
    found.sort_by_key(|error| error.span.map(|span| span.start));
    diagnostics.extend(found);
    body
}

/// Parses one expression: what `-var` gives a variable that is not a string, or a line of the
/// console.
///
/// # Errors
/// The first thing that is not HCL, with its place.
pub fn parse_expr(sources: &SourceMap, file: FileId) -> Result<Expr> {
    expr_text(&sources.get(file).text, file)
}

/// Parses one expression; places are offsets in `text`.
pub(super) fn expr_text(text: &str, file: FileId) -> Result<Expr> {
    let mut parser = Parser::new(text, file, tokenize(text));
    // There is one expression; where its lines end does not matter.
    parser.newlines = false;
    let expr = parser.expr()?;
    match parser.peek().kind {
        TokenKind::Eof => parser.only(expr),
        _ => Err(parser.after_value()),
    }
}

/// Parses text with interpolations that stands outside of quotes, such as a template file.
///
/// # Errors
/// The first thing that is not HCL, with its place.
pub fn parse_template(sources: &SourceMap, file: FileId) -> Result<Expr> {
    template_text(&sources.get(file).text, file)
}

/// Parses text with interpolations; places are offsets in `text`.
pub(super) fn template_text(text: &str, file: FileId) -> Result<Expr> {
    let mut parser = Parser::new(text, file, tokenize_template(text));
    let expr = parser.bare_template()?;
    parser.only(expr)
}

struct Parser<'a> {
    text: &'a str,
    file: FileId,
    tokens: Vec<Token>,
    /// The next token.
    at: usize,
    /// Whether newlines mean something here; in brackets they do not.
    newlines: bool,
    /// How deep the next node is.
    depth: usize,
    /// How high the tree of the expression is that was read last.
    height: usize,
    /// Where to go on when a block turned out not to end: from this byte on, what was read is not
    /// the block's.
    resume: Option<usize>,
    /// The start of a text whose end the lexer may have missed, and the byte where it ends if that
    /// is known.
    relex: Option<(Token, Option<usize>)>,
    diagnostics: Diagnostics,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, file: FileId, tokens: Vec<Token>) -> Self {
        Parser {
            text,
            file,
            tokens,
            at: 0,
            newlines: true,
            depth: 0,
            height: 0,
            resume: None,
            relex: None,
            diagnostics: Diagnostics::default(),
        }
    }

    /// The expression, unless something wrong in it was noted on the way.
    fn only(&mut self, expr: Expr) -> Result<Expr> {
        match std::mem::take(&mut self.diagnostics).into_iter().next() {
            Some(error) => Err(error),
            None => Ok(expr),
        }
    }

    /// The place of the next token that means something here.
    fn next_index(&self) -> usize {
        let mut index = self.at;
        while let Some(token) = self.tokens.get(index)
            && (matches!(token.kind, TokenKind::Newline | TokenKind::Comment)
                && !(self.newlines && token.ends_line(self.text)))
        {
            index += 1;
        }
        index.min(self.tokens.len() - 1)
    }

    /// The next token. A comment that ends a line counts as the newline.
    fn peek(&self) -> Token {
        let token = self.tokens[self.next_index()];
        match token.kind {
            TokenKind::Comment => Token { kind: TokenKind::Newline, ..token },
            _ => token,
        }
    }

    /// The token after the next one.
    fn peek_second(&self) -> Token {
        self.tokens[(self.next_index() + 1).min(self.tokens.len() - 1)]
    }

    /// Takes the next token.
    fn take(&mut self) -> Token {
        let token = self.peek();
        self.at = (self.next_index() + 1).min(self.tokens.len() - 1);
        token
    }

    /// Takes the next token if it is of this kind.
    fn take_if(&mut self, kind: TokenKind) -> Option<Token> {
        (self.peek().kind == kind).then(|| self.take())
    }

    /// The token that was taken last.
    fn previous(&self) -> Token {
        self.tokens[self.at.saturating_sub(1)]
    }

    fn token_text(&self, token: Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or("")
    }

    fn is_word(&self, token: Token, word: &str) -> bool {
        token.kind == TokenKind::Ident && self.token_text(token) == word
    }

    fn span(&self, token: Token) -> Span {
        token.span(self.file)
    }

    fn span_of(&self, start: usize, end: usize) -> Span {
        Span { file: self.file, start: start as u32, end: end as u32 }
    }

    /// From the start of `first` to the end of the token taken last.
    fn span_from(&self, first: Token) -> Span {
        self.span(first).to(self.span(self.previous()))
    }

    /// Reads something with newlines meaning something, or not.
    fn with_newlines<T>(
        &mut self,
        newlines: bool,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.newlines, newlines);
        let result = read(self);
        self.newlines = before;
        result
    }

    /// Reads something one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Notes that a node stands above trees of at most `below`.
    fn above(&mut self, below: usize) -> Result<()> {
        self.height = below + 1;
        if self.height > MAX_DEPTH { Err(self.too_deep()) } else { Ok(()) }
    }

    fn too_deep(&self) -> Diagnostic {
        Diagnostic::error(format!("more than {MAX_DEPTH} levels are nested in each other here"))
            .at(self.span(self.peek()))
            .label("this is one level too many")
            .help("give parts of it names in a `locals` block")
    }
}

#[cfg(test)]
mod tests;
