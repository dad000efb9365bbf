//! Expressions.

use super::{Parser, Result};
use crate::ast::{BinaryOp, Expr, ExprKind, ForExpr, UnaryOp};
use crate::diagnostic::Diagnostic;
use crate::number::Number;
use crate::tokens::{Token, TokenKind};

impl Parser<'_> {
    /// An expression.
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.deeper(Self::conditional)
    }

    fn conditional(&mut self) -> Result<Expr> {
        let condition = self.binary(0)?;
        let Some(question) = self.take_if(TokenKind::Question) else { return Ok(condition) };
        let mut height = self.height;
        let yes = self.expr()?;
        height = height.max(self.height);
        if self.take_if(TokenKind::Colon).is_none() {
            return Err(self.no_else(question));
        }
        let no = self.expr()?;
        self.above(height.max(self.height))?;
        let span = condition.span.to(no.span);
        Ok(Expr { kind: ExprKind::Conditional(Box::new([condition, yes, no])), span })
    }

    /// Operators that bind at least as tightly as `level`.
    fn binary(&mut self, level: u8) -> Result<Expr> {
        let mut left = self.operand()?;
        let mut height = self.height;
        while let Some((operator, binds)) = binary_operator(self.peek().kind)
            && binds >= level
        {
            self.take();
            // One level at most for each way to bind, so this recursion needs no counting.
            let right = self.binary(binds + 1)?;
            self.above(height.max(self.height))?;
            height = self.height;
            let span = left.span.to(right.span);
            left = Expr { kind: ExprKind::Binary(operator, Box::new([left, right])), span };
        }
        self.height = height;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expr> {
        let sign = self.peek();
        let operator = match sign.kind {
            TokenKind::Minus => UnaryOp::Neg,
            TokenKind::Bang => UnaryOp::Not,
            _ => {
                let term = self.term()?;
                return self.traversal(term);
            }
        };
        self.take();
        let operand = self.deeper(Self::operand)?;
        self.above(self.height)?;
        let span = self.span(sign).to(operand.span);
        Ok(Expr { kind: ExprKind::Unary(operator, Box::new(operand)), span })
    }

    fn term(&mut self) -> Result<Expr> {
        let first = self.peek();
        let kind = match first.kind {
            TokenKind::Number => {
                self.take();
                self.height = 1;
                ExprKind::Number(self.number(first)?)
            }
            TokenKind::Ident => {
                self.take();
                self.height = 1;
                match (self.token_text(first), self.peek().kind) {
                    (_, TokenKind::OpenParen | TokenKind::DoubleColon) => self.call(first)?,
                    ("true", _) => ExprKind::Bool(true),
                    ("false", _) => ExprKind::Bool(false),
                    ("null", _) => ExprKind::Null,
                    (name, _) => ExprKind::Variable(name.to_owned()),
                }
            }
            TokenKind::OpenQuote => self.quoted()?,
            TokenKind::OpenHeredoc => self.heredoc()?,
            TokenKind::OpenParen => {
                self.take();
                self.with_newlines(false, |parser| {
                    let inner = parser.expr()?;
                    match parser.take_if(TokenKind::CloseParen) {
                        Some(_) => Ok(ExprKind::Paren(Box::new(inner))),
                        None => Err(parser.not_closed(first, "`)`")),
                    }
                })?
            }
            TokenKind::OpenBracket => self.with_newlines(false, Self::tuple)?,
            TokenKind::OpenBrace => self.object()?,
            _ => return Err(self.no_expr()),
        };
        self.above(self.height)?;
        Ok(Expr { kind, span: self.span_from(first) })
    }

    fn number(&self, token: Token) -> Result<Number> {
        let text = self.token_text(token);
        Number::parse(text).ok_or_else(|| {
            let error =
                Diagnostic::error(format!("`{text}` is not a valid number")).at(self.span(token));
            match text.matches('.').count() {
                0 | 1 => error,
                _ => error.help(format!("a version or an address is text: \"{text}\"")),
            }
        })
    }

    /// What follows the name of a function.
    fn call(&mut self, first: Token) -> Result<ExprKind> {
        let mut name = self.token_text(first).to_owned();
        while self.take_if(TokenKind::DoubleColon).is_some() {
            let Some(part) = self.take_if(TokenKind::Ident) else {
                return Err(self.unexpected("the name of a function"));
            };
            name.push_str("::");
            name.push_str(self.token_text(part));
        }
        let name_span = self.span_from(first);
        let Some(open) = self.take_if(TokenKind::OpenParen) else {
            return Err(self.unexpected("`(` and what the function is given"));
        };
        let mut expand = false;
        let args = self.with_newlines(false, |parser| {
            let mut args = Vec::new();
            let mut height = 0;
            while parser.take_if(TokenKind::CloseParen).is_none() {
                parser.in_list(open)?;
                args.push(parser.expr()?);
                height = height.max(parser.height);
                expand = parser.take_if(TokenKind::Ellipsis).is_some();
                let more = !expand && parser.take_if(TokenKind::Comma).is_some();
                if !more && parser.peek().kind != TokenKind::CloseParen {
                    parser.separator(open)?;
                }
            }
            parser.height = height;
            Ok(args)
        })?;
        Ok(ExprKind::Call { name, name_span, args, expand })
    }

    fn tuple(&mut self) -> Result<ExprKind> {
        let open = self.take();
        if self.is_word(self.peek(), "for") {
            return self.for_expr(open);
        }
        let mut items = Vec::new();
        let mut height = 0;
        while self.take_if(TokenKind::CloseBracket).is_none() {
            self.in_list(open)?;
            items.push(self.expr()?);
            height = height.max(self.height);
            if self.take_if(TokenKind::Comma).is_none()
                && self.peek().kind != TokenKind::CloseBracket
            {
                self.separator(open)?;
            }
        }
        self.height = height;
        Ok(ExprKind::Tuple(items))
    }

    /// A comma is missing. Where that is all, reading goes on.
    fn separator(&mut self, open: Token) -> Result<()> {
        let only = self.only_comma_missing();
        let error = self.no_separator(open);
        if only {
            self.diagnostics.push(error);
            return Ok(());
        }
        Err(error)
    }

    fn object(&mut self) -> Result<ExprKind> {
        let open = self.take();
        let next = self.with_newlines(false, |parser| Ok(parser.peek()))?;
        if self.is_word(next, "for") {
            return self.with_newlines(false, |parser| parser.for_expr(open));
        }
        self.with_newlines(true, |parser| {
            let mut items = Vec::new();
            let mut height = 0;
            loop {
                while parser.take_if(TokenKind::Newline).is_some() {}
                if parser.take_if(TokenKind::CloseBrace).is_some() {
                    break;
                }
                let key = parser.key(open)?;
                height = height.max(parser.height);
                if parser.take_if(TokenKind::Equal).is_none()
                    && parser.take_if(TokenKind::Colon).is_none()
                {
                    return Err(parser.no_object_value(open, &key));
                }
                let value = parser.expr()?;
                height = height.max(parser.height);
                items.push((key, value));
                match parser.peek().kind {
                    TokenKind::Comma | TokenKind::Newline => drop(parser.take()),
                    TokenKind::CloseBrace => {}
                    _ => return Err(parser.no_separator(open)),
                }
            }
            parser.height = height;
            Ok(ExprKind::Object(items))
        })
    }

    /// The key of an object's item: a bare name is the key itself, `(name)` what it stands for.
    fn key(&mut self, open: Token) -> Result<Expr> {
        let first = self.peek();
        if first.kind == TokenKind::Eof {
            return Err(self.unclosed(open));
        }
        let mut key = self.expr()?;
        key.kind = match key.kind {
            _ if first.kind == TokenKind::OpenParen => key.kind,
            ExprKind::Variable(name) => ExprKind::String(name),
            ExprKind::Bool(_) | ExprKind::Null => {
                ExprKind::String(self.token_text(first).to_owned())
            }
            ExprKind::Attr(..) | ExprKind::Index(..) => {
                return Err(Diagnostic::error("this key could be a name or a reference")
                    .at(key.span)
                    .help("write it in parentheses if it is a reference, else in quotes"));
            }
            other => other,
        };
        Ok(key)
    }

    fn for_expr(&mut self, open: Token) -> Result<ExprKind> {
        self.take();
        let is_object = open.kind == TokenKind::OpenBrace;
        let (key_var, value_var) = self.for_names()?;
        let collection = self.expr()?;
        let mut height = self.height;
        if self.take_if(TokenKind::Colon).is_none() {
            return Err(self.unexpected("`:` and the value for every item"));
        }
        let mut value = self.expr()?;
        height = height.max(self.height);
        let mut key = None;
        if self.peek().kind == TokenKind::FatArrow {
            let arrow = self.take();
            if !is_object {
                return Err(Diagnostic::error("a list has no keys")
                    .at(self.span(arrow))
                    .help("write {for … : key => value} for an object, or leave the key out"));
            }
            key = Some(std::mem::replace(&mut value, self.expr()?));
            height = height.max(self.height);
        } else if is_object {
            return Err(self
                .unexpected("`=>` and a value")
                .help("an object is written {for … : key => value}, a list [for … : value]"));
        }
        let ellipsis = self.take_if(TokenKind::Ellipsis);
        if let Some(ellipsis) = ellipsis.filter(|_| !is_object) {
            return Err(Diagnostic::error(
                "`...` groups the values of equal keys; a list has none",
            )
            .at(self.span(ellipsis))
            .help("leave it out"));
        }
        let mut cond = None;
        if self.is_word(self.peek(), "if") {
            self.take();
            cond = Some(self.expr()?);
            height = height.max(self.height);
        }
        let close = if is_object { TokenKind::CloseBrace } else { TokenKind::CloseBracket };
        if self.take_if(close).is_none() {
            let wanted = if is_object { "`}`" } else { "`]`" };
            return Err(self.not_closed(open, wanted));
        }
        self.height = height;
        let group = ellipsis.is_some();
        Ok(ExprKind::For(Box::new(ForExpr {
            key_var,
            value_var,
            collection,
            key,
            value,
            cond,
            group,
        })))
    }

    /// `value in` or `key, value in`.
    pub(super) fn for_names(&mut self) -> Result<(Option<String>, String)> {
        let Some(first) = self.take_if(TokenKind::Ident) else {
            return Err(self.unexpected("a name for the items after `for`"));
        };
        let mut names = (None, self.token_text(first).to_owned());
        if self.take_if(TokenKind::Comma).is_some() {
            let Some(second) = self.take_if(TokenKind::Ident) else {
                return Err(self.unexpected("a name for the values after the comma"));
            };
            names = (Some(names.1), self.token_text(second).to_owned());
        }
        if !self.is_word(self.peek(), "in") {
            return Err(self.unexpected("`in` and what to go through"));
        }
        self.take();
        Ok(names)
    }

    /// `.name`, `[key]` and splats behind a term.
    fn traversal(&mut self, mut base: Expr) -> Result<Expr> {
        let start = base.span;
        loop {
            let below = self.height;
            let kind = match self.peek().kind {
                TokenKind::Dot => {
                    self.take();
                    if self.take_if(TokenKind::Star).is_some() {
                        let item =
                            Expr { kind: ExprKind::SplatItem, span: self.span(self.previous()) };
                        self.height = 1;
                        let each = self.names(item)?;
                        self.height += below;
                        ExprKind::Splat { source: Box::new(base), each: Box::new(each) }
                    } else {
                        self.step(base)?
                    }
                }
                TokenKind::OpenBracket => {
                    let open = self.take();
                    if self.peek().kind == TokenKind::Star {
                        let star = self.take();
                        if self.take_if(TokenKind::CloseBracket).is_none() {
                            return Err(self.unexpected("`]` after `[*`"));
                        }
                        self.height = 1;
                        let item = Expr { kind: ExprKind::SplatItem, span: self.span(star) };
                        let each = self.deeper(|parser| parser.traversal(item))?;
                        self.height += below;
                        ExprKind::Splat { source: Box::new(base), each: Box::new(each) }
                    } else {
                        let key = self.with_newlines(false, |parser| {
                            let key = parser.expr()?;
                            match parser.take_if(TokenKind::CloseBracket) {
                                Some(_) => Ok(key),
                                None => Err(parser.not_closed(open, "`]`")),
                            }
                        })?;
                        self.height = self.height.max(below);
                        ExprKind::Index(Box::new(base), Box::new(key))
                    }
                }
                _ => return Ok(base),
            };
            self.above(self.height)?;
            base = Expr { kind, span: start.to(self.span(self.previous())) };
        }
    }

    /// The names and numbers that `.*` takes along.
    fn names(&mut self, mut base: Expr) -> Result<Expr> {
        let start = base.span;
        while self.take_if(TokenKind::Dot).is_some() {
            let kind = self.step(base)?;
            self.above(self.height)?;
            base = Expr { kind, span: start.to(self.span(self.previous())) };
        }
        Ok(base)
    }

    /// What follows a dot: a name or, in an old form, the number of an item.
    fn step(&mut self, base: Expr) -> Result<ExprKind> {
        let name = self.peek();
        let text = self.token_text(name);
        match name.kind {
            TokenKind::Ident => {
                self.take();
                Ok(ExprKind::Attr(Box::new(base), text.to_owned(), self.span(name)))
            }
            TokenKind::Number if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.take();
                let key = ExprKind::Number(self.number(name)?);
                let key = Expr { kind: key, span: self.span(name) };
                Ok(ExprKind::Index(Box::new(base), Box::new(key)))
            }
            TokenKind::Number => {
                let error = Diagnostic::error(format!("`{text}` after a dot is not an index"))
                    .at(self.span(name));
                let keys: Vec<&str> = text.split('.').filter(|key| !key.is_empty()).collect();
                Err(error.help(format!("write [{}] without the dots", keys.join("]["))))
            }
            TokenKind::Star => Err(Diagnostic::error("`.*` cannot follow another `.*`")
                .at(self.span(name))
                .help("write [*] for both")),
            _ => Err(self.unexpected("a name after the dot")),
        }
    }
}

/// The operator and how tightly it binds.
fn binary_operator(kind: TokenKind) -> Option<(BinaryOp, u8)> {
    Some(match kind {
        TokenKind::Or => (BinaryOp::Or, 0),
        TokenKind::And => (BinaryOp::And, 1),
        TokenKind::EqualEqual => (BinaryOp::Eq, 2),
        TokenKind::NotEqual => (BinaryOp::NotEq, 2),
        TokenKind::Greater => (BinaryOp::Greater, 3),
        TokenKind::GreaterEqual => (BinaryOp::GreaterEq, 3),
        TokenKind::Less => (BinaryOp::Less, 3),
        TokenKind::LessEqual => (BinaryOp::LessEq, 3),
        TokenKind::Plus => (BinaryOp::Add, 4),
        TokenKind::Minus => (BinaryOp::Sub, 4),
        TokenKind::Star => (BinaryOp::Mul, 5),
        TokenKind::Slash => (BinaryOp::Div, 5),
        TokenKind::Percent => (BinaryOp::Mod, 5),
        _ => return None,
    })
}
