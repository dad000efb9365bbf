//! The parser: its tokens, and what it has to say of them.

use crate::ast::Expr;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{FileId, Span};
use crate::tokens::{Token, TokenKind};

/// How deep blocks and expressions may nest, and how long a chain of operators or names may be.
/// Everything that walks the tree recurses as deep; templates that people write stay below 30.
pub const MAX_DEPTH: usize = 200;

/// The stack, in bytes, of threads that read or evaluate templates: what the main thread has, and
/// well above what [`MAX_DEPTH`] takes even without optimization.
pub const STACK_SIZE: usize = 8 << 20;

/// After so many errors of one file, more would not help.
pub(super) const MAX_ERRORS: usize = 20;

pub(super) type Result<T, E = Diagnostic> = std::result::Result<T, E>;

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    file: FileId,
    pub(super) tokens: Vec<Token>,
    /// The next token.
    pub(super) at: usize,
    /// Whether newlines mean something here; in brackets they do not.
    pub(super) newlines: bool,
    /// How deep the next node is.
    pub(super) depth: usize,
    /// How high the tree of the expression is that was read last.
    pub(super) height: usize,
    /// Where to go on when a block turned out not to end: from this byte on, what was read is not
    /// the block's.
    pub(super) resume: Option<usize>,
    /// The start of a text whose end the lexer may have missed, and the byte where it ends if that
    /// is known.
    pub(super) relex: Option<(Token, Option<usize>)>,
    pub(super) diagnostics: Diagnostics,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, file: FileId, tokens: Vec<Token>) -> Self {
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
    pub(super) fn only(&mut self, expr: Expr) -> Result<Expr> {
        match std::mem::take(&mut self.diagnostics).into_iter().next() {
            Some(error) => Err(error),
            None => Ok(expr),
        }
    }

    /// The place of the next token that means something here.
    pub(super) fn next_index(&self) -> usize {
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
    pub(super) fn peek(&self) -> Token {
        let token = self.tokens[self.next_index()];
        match token.kind {
            TokenKind::Comment => Token { kind: TokenKind::Newline, ..token },
            _ => token,
        }
    }

    /// The token after the next one.
    pub(super) fn peek_second(&self) -> Token {
        self.tokens[(self.next_index() + 1).min(self.tokens.len() - 1)]
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Token {
        let token = self.peek();
        self.at = (self.next_index() + 1).min(self.tokens.len() - 1);
        token
    }

    /// Takes the next token if it is of this kind.
    pub(super) fn take_if(&mut self, kind: TokenKind) -> Option<Token> {
        (self.peek().kind == kind).then(|| self.take())
    }

    /// The token that was taken last.
    pub(super) fn previous(&self) -> Token {
        self.tokens[self.at.saturating_sub(1)]
    }

    pub(super) fn token_text(&self, token: Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or("")
    }

    pub(super) fn is_word(&self, token: Token, word: &str) -> bool {
        token.kind == TokenKind::Ident && self.token_text(token) == word
    }

    pub(super) fn span(&self, token: Token) -> Span {
        token.span(self.file)
    }

    pub(super) fn span_of(&self, start: usize, end: usize) -> Span {
        Span { file: self.file, start: start as u32, end: end as u32 }
    }

    /// From the start of `first` to the end of the token taken last.
    pub(super) fn span_from(&self, first: Token) -> Span {
        self.span(first).to(self.span(self.previous()))
    }

    /// Reads something with newlines meaning something, or not.
    pub(super) fn with_newlines<T>(
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
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Notes that a node stands above trees of at most `below`.
    pub(super) fn above(&mut self, below: usize) -> Result<()> {
        self.height = below + 1;
        if self.height > MAX_DEPTH { Err(self.too_deep()) } else { Ok(()) }
    }

    pub(super) fn too_deep(&self) -> Diagnostic {
        Diagnostic::error(format!("more than {MAX_DEPTH} levels are nested in each other here"))
            .at(self.span(self.peek()))
            .label("this is one level too many")
            .help("give parts of it names in a `locals` block")
    }
}
