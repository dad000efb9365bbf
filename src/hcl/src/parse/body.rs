//! Arguments and blocks.

use super::{MAX_ERRORS, Parser, Result};
use crate::ast::{Attribute, Block, Body, Label, Syntax};
use crate::diagnostic::Diagnostic;
use crate::tokens::{Token, TokenKind};

enum Item {
    Attribute(Attribute),
    Block(Block),
}

impl Parser<'_> {
    /// A whole file.
    pub(super) fn file(&mut self) -> Body {
        let mut body = self.body(None);
        while let Some(offset) = self.resume.take() {
            self.restart(offset);
            let rest = self.body(None);
            for attribute in rest.attributes {
                self.add(&mut body, Item::Attribute(attribute));
            }
            body.blocks.extend(rest.blocks);
        }
        body.span = self.span_of(0, self.text.len());
        body
    }

    /// What is in a file, or between `open` and its `}`, which is taken too.
    fn body(&mut self, open: Option<Token>) -> Body {
        let start = open.map_or(0, |open| open.start);
        let span = self.span_of(start, self.text.len());
        let mut body =
            Body { attributes: Vec::new(), blocks: Vec::new(), span, syntax: Syntax::Native };
        self.newlines = true;
        // Whether something was wrong with the item before: what follows it and is no item is a
        // part of that one more often than wrong in itself.
        let mut troubled = false;
        while self.resume.is_none() {
            let next = self.peek();
            match next.kind {
                TokenKind::Newline => drop(self.take()),
                TokenKind::CloseBrace if open.is_some() => {
                    body.span.end = self.take().end as u32;
                    return body;
                }
                TokenKind::Eof => {
                    if let Some(open) = open {
                        self.unclosed_block(open);
                    }
                    break;
                }
                _ => {
                    let first = self.next_index();
                    let errors = self.diagnostics.len();
                    if let Err(error) = self.item(&mut body) {
                        if !troubled || next.kind == TokenKind::Ident {
                            self.diagnostics.push(error);
                        }
                        self.skip_item(first, open.is_some());
                        troubled = true;
                    } else {
                        troubled = self.diagnostics.len() > errors;
                    }
                    if self.diagnostics.len() >= MAX_ERRORS {
                        self.at = self.tokens.len() - 1;
                        self.resume = None;
                        return body;
                    }
                }
            }
        }
        // What stands after the place to go on from belongs to other blocks.
        if let Some(offset) = self.resume {
            body.attributes.retain(|attribute| (attribute.name_span.start as usize) < offset);
            body.blocks.retain(|block| (block.header.start as usize) < offset);
        }
        body
    }

    fn add(&mut self, body: &mut Body, item: Item) {
        match item {
            Item::Block(block) => body.blocks.push(block),
            Item::Attribute(attribute) => match body.attribute(&attribute.name) {
                Some(first) => {
                    let error = Diagnostic::error(format!(
                        "`{}` is set twice in this block",
                        attribute.name
                    ))
                    .at(attribute.name_span)
                    .also(first.name_span, "here it is set already")
                    .help("keep one of the two")
                    .names_only();
                    self.diagnostics.push(error);
                }
                None => body.attributes.push(attribute),
            },
        }
    }

    /// One argument or block and the end of its line.
    ///
    /// A block of the file with an error in it is left out, so that nothing missing in it is
    /// reported.
    fn item(&mut self, body: &mut Body) -> Result<()> {
        let name = self.peek();
        let errors = self.diagnostics.len();
        if name.kind != TokenKind::Ident {
            return Err(self.no_item());
        }
        self.take();
        let item = match self.peek().kind {
            TokenKind::Equal => Item::Attribute(self.attribute(name)?),
            TokenKind::OpenBrace | TokenKind::OpenQuote | TokenKind::Ident => {
                Item::Block(self.block(name)?)
            }
            _ if self.brace_on_next_line(name) => Item::Block(self.block(name)?),
            _ => return Err(self.after_name(name)),
        };
        let is_block = matches!(item, Item::Block(_));
        if self.depth > 0 || self.diagnostics.len() == errors {
            self.add(body, item);
        }
        match self.peek().kind {
            _ if self.resume.is_some() => Ok(()),
            TokenKind::Newline => {
                self.take();
                Ok(())
            }
            TokenKind::Eof => Ok(()),
            _ if is_block && self.diagnostics.len() > errors => {
                while !matches!(self.peek().kind, TokenKind::Newline | TokenKind::Eof) {
                    self.take();
                }
                Ok(())
            }
            _ if is_block => Err(self.after_block()),
            _ => Err(self.after_value()),
        }
    }

    fn attribute(&mut self, name: Token) -> Result<Attribute> {
        let equals = self.take();
        if matches!(self.peek().kind, TokenKind::Newline | TokenKind::Eof | TokenKind::CloseBrace) {
            let error = self.no_value(name, equals);
            if !matches!(self.peek_second().kind, TokenKind::OpenBrace | TokenKind::OpenBracket) {
                return Err(error);
            }
            // The value is there, on the next line.
            self.diagnostics.push(error);
            self.take();
        }
        Ok(Attribute {
            name: self.token_text(name).to_owned(),
            name_span: self.span(name),
            expr: self.expr()?,
        })
    }

    fn block(&mut self, name: Token) -> Result<Block> {
        let mut labels = Vec::new();
        let open = loop {
            let next = self.peek();
            match next.kind {
                TokenKind::OpenBrace => break self.take(),
                TokenKind::Ident => {
                    self.take();
                    let text = self.token_text(next).to_owned();
                    labels.push(Label { text, span: self.span(next) });
                }
                TokenKind::OpenQuote => labels.push(self.label()?),
                // These two are reported, and then read as what they are meant to be.
                _ if self.brace_on_next_line(name) => {}
                TokenKind::Equal if self.peek_second().kind == TokenKind::OpenBrace => {
                    let error = self.no_brace(name, &labels);
                    self.diagnostics.push(error);
                    self.take();
                }
                _ => return Err(self.no_brace(name, &labels)),
            }
        };
        let mut header = self.span(name);
        if let Some(last) = labels.last() {
            header = header.to(last.span);
        }
        let one_line = !matches!(
            self.peek().kind,
            TokenKind::Newline | TokenKind::Eof | TokenKind::CloseBrace
        );
        let body = self.deeper(|parser| match one_line {
            true => parser.one_line_body(open),
            false => Ok(parser.body(Some(open))),
        })?;
        Ok(Block { kind: self.token_text(name).to_owned(), labels, body, header })
    }

    /// `name = value }` after a `{` on the same line: one argument, no blocks.
    fn one_line_body(&mut self, open: Token) -> Result<Body> {
        let name = self.peek();
        if name.kind != TokenKind::Ident {
            return Err(self.no_item());
        }
        self.take();
        let attribute = match self.peek().kind {
            TokenKind::Equal => self.attribute(name)?,
            TokenKind::OpenBrace | TokenKind::OpenQuote | TokenKind::Ident => {
                return Err(self.block_in_one_line(open, name));
            }
            _ => return Err(self.after_name(name)),
        };
        match self.take_if(TokenKind::CloseBrace) {
            Some(_) => Ok(Body {
                attributes: vec![attribute],
                blocks: Vec::new(),
                span: self.span_from(open),
                syntax: Syntax::Native,
            }),
            None => Err(self.second_in_one_line(open)),
        }
    }

    /// A label in quotes.
    fn label(&mut self) -> Result<Label> {
        let open = self.take();
        let mut text = String::new();
        loop {
            let part = self.take();
            match part.kind {
                TokenKind::QuotedText => text.push_str(&self.unescape(part)?),
                TokenKind::CloseQuote => return Ok(Label { text, span: self.span_from(open) }),
                TokenKind::Interpolation | TokenKind::Directive => {
                    return Err(Diagnostic::error("a label is fixed text")
                        .at(self.span(part))
                        .label("nothing is filled in here")
                        .help("write the text itself, or $${ for the characters ${"));
                }
                _ => return Err(self.unclosed_quote(open)),
            }
        }
    }
}
