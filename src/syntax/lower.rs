//! The parser's tree to ours.

use std::ops::Range;

use hcl_edit::Span as _;
use hcl_edit::expr::{self as hcl, Expression, ObjectKey, TraversalOperator};
use hcl_edit::structure::{self, Structure};
use hcl_edit::template::{Directive, Element, Strip, Template};

use super::ast::{
    Attribute, BinaryOp, Block, Body, Expr, ExprKind, ForExpr, Label, TemplatePart, UnaryOp,
};
use super::diagnostic::Diagnostic;
use super::heredoc;
use super::source::{FileId, Span};
use crate::template::number::Number;

type Result<T, E = Diagnostic> = std::result::Result<T, E>;

/// Lowers one text.
pub(super) struct Lower<'a> {
    pub text: &'a str,
    pub file: FileId,
}

impl Lower<'_> {
    fn span(&self, range: Option<Range<usize>>) -> Span {
        let range = range.unwrap_or(0..0);
        Span { file: self.file, start: range.start as u32, end: range.end as u32 }
    }

    /// `end` bounds the body where the parser gives it no span (blocks on one line).
    pub fn body(&self, body: &structure::Body, end: usize) -> Result<Body> {
        let mut attributes = Vec::new();
        let mut blocks = Vec::new();
        for part in body {
            match part {
                Structure::Attribute(attribute) => attributes.push(Attribute {
                    name: attribute.key.as_str().to_owned(),
                    name_span: self.span(attribute.key.span()),
                    expr: self.expr(&attribute.value)?,
                }),
                Structure::Block(block) => blocks.push(self.block(block)?),
            }
        }
        let span = self.span(Some(body.span().unwrap_or(end..end)));
        Ok(Body { attributes, blocks, span })
    }

    fn block(&self, block: &structure::Block) -> Result<Block> {
        let whole = block.span().unwrap_or(0..0);
        let mut header = self.span(block.ident.span());
        let mut labels = Vec::new();
        for label in &block.labels {
            let range = match label {
                structure::BlockLabel::Ident(ident) => ident.span(),
                structure::BlockLabel::String(text) => text.span(),
            };
            let span = self.span(range);
            header = header.to(span);
            labels.push(Label { text: label.as_str().to_owned(), span });
        }
        let body = self.body(&block.body, whole.end)?;
        Ok(Block { kind: block.ident.as_str().to_owned(), labels, body, header })
    }

    pub fn expr(&self, expr: &Expression) -> Result<Expr> {
        let span = self.span(expr.span());
        Ok(Expr { kind: self.kind(expr, span)?, span })
    }

    fn boxed(&self, expr: &Expression) -> Result<Box<Expr>> {
        self.expr(expr).map(Box::new)
    }

    fn kind(&self, expr: &Expression, span: Span) -> Result<ExprKind> {
        Ok(match expr {
            Expression::Null(_) => ExprKind::Null,
            Expression::Bool(value) => ExprKind::Bool(*value.value()),
            Expression::Number(_) => {
                // The parser's numbers are floats; the text has all the digits.
                let text = &self.text[span.start as usize..span.end as usize];
                let number = Number::parse(text).ok_or_else(|| {
                    Diagnostic::error(format!("`{text}` is not a number that can be held")).at(span)
                })?;
                ExprKind::Number(number)
            }
            Expression::String(text) => ExprKind::String(text.value().clone()),
            Expression::StringTemplate(template) => {
                self.quoted(&template.iter().collect::<Vec<_>>())?
            }
            Expression::HeredocTemplate(heredoc) => {
                let mut template = heredoc.template.clone();
                let flush = self.text[span.start as usize..].starts_with("<<-");
                heredoc::settle(&mut template, self.text, flush);
                as_text(self.template(&template, [false; 2])?)
            }
            Expression::Array(items) => {
                ExprKind::Tuple(items.iter().map(|item| self.expr(item)).collect::<Result<_>>()?)
            }
            Expression::Object(object) => ExprKind::Object(
                object
                    .iter()
                    .map(|(key, value)| Ok((self.object_key(key)?, self.expr(value.expr())?)))
                    .collect::<Result<_>>()?,
            ),
            Expression::Parenthesis(inner) => ExprKind::Paren(self.boxed(inner.inner())?),
            Expression::Variable(name) => ExprKind::Variable(name.as_str().to_owned()),
            Expression::Conditional(cond) => ExprKind::Conditional(Box::new([
                self.expr(&cond.cond_expr)?,
                self.expr(&cond.true_expr)?,
                self.expr(&cond.false_expr)?,
            ])),
            Expression::FuncCall(call) => self.call(call)?,
            Expression::Traversal(traversal) => self.traversal(traversal)?.kind,
            Expression::UnaryOp(unary) => {
                let operator = match unary.operator.value() {
                    hcl::UnaryOperator::Neg => UnaryOp::Neg,
                    hcl::UnaryOperator::Not => UnaryOp::Not,
                };
                ExprKind::Unary(operator, self.boxed(&unary.expr)?)
            }
            Expression::BinaryOp(binary) => ExprKind::Binary(
                binary_op(*binary.operator.value()),
                Box::new([self.expr(&binary.lhs_expr)?, self.expr(&binary.rhs_expr)?]),
            ),
            Expression::ForExpr(expr) => ExprKind::For(Box::new(ForExpr {
                key_var: expr.intro.key_var.as_ref().map(|name| name.as_str().to_owned()),
                value_var: expr.intro.value_var.as_str().to_owned(),
                collection: self.expr(&expr.intro.collection_expr)?,
                key: expr.key_expr.as_ref().map(|key| self.expr(key)).transpose()?,
                value: self.expr(&expr.value_expr)?,
                cond: expr.cond.as_ref().map(|cond| self.expr(&cond.expr)).transpose()?,
                group: expr.grouping,
            })),
        })
    }

    fn object_key(&self, key: &ObjectKey) -> Result<Expr> {
        match key {
            // Names are read from the text: the parser may have got another one.
            ObjectKey::Ident(name) => {
                let span = self.span(name.span());
                let written = self.text.get(span.start as usize..span.end as usize);
                let name = written.unwrap_or(name.as_str()).to_owned();
                Ok(Expr { kind: ExprKind::String(name), span })
            }
            ObjectKey::Expression(expr) => {
                let lowered = self.expr(expr)?;
                let written = self.text.get(lowered.span.start as usize..lowered.span.end as usize);
                let written = written.and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
                match lowered.kind {
                    ExprKind::String(_)
                        if written.is_some_and(|text| !text.contains(['\\', '$', '%'])) =>
                    {
                        let name = written.unwrap_or_default().to_owned();
                        Ok(Expr { kind: ExprKind::String(name), span: lowered.span })
                    }
                    // A bare name is the key itself; `(name)` is what the name stands for.
                    ExprKind::Variable(name) => {
                        Ok(Expr { kind: ExprKind::String(name), span: lowered.span })
                    }
                    ExprKind::Attr(..) | ExprKind::Index(..) => {
                        Err(Diagnostic::error("this key could be a name or a reference")
                            .at(lowered.span)
                            .help("write it in parentheses if it is a reference, else in quotes"))
                    }
                    _ => Ok(lowered),
                }
            }
        }
    }

    fn call(&self, call: &hcl::FuncCall) -> Result<ExprKind> {
        let name: Vec<&str> = call
            .name
            .namespace
            .iter()
            .map(|part| part.as_str())
            .chain([call.name.name.as_str()])
            .collect();
        Ok(ExprKind::Call {
            name: name.join("::"),
            name_span: self.span(call.name.name.span()),
            args: call.args.iter().map(|arg| self.expr(arg)).collect::<Result<_>>()?,
            expand: call.args.expand_final(),
        })
    }

    fn traversal(&self, traversal: &hcl::Traversal) -> Result<Expr> {
        let base = self.expr(&traversal.expr)?;
        self.operators(base, &traversal.operators)
    }

    fn operators(
        &self,
        mut base: Expr,
        operators: &[hcl_edit::Decorated<TraversalOperator>],
    ) -> Result<Expr> {
        let start = base.span;
        for (index, operator) in operators.iter().enumerate() {
            let span = start.to(self.span(operator.span()));
            let kind = match operator.value() {
                TraversalOperator::GetAttr(name) => {
                    let name_span = self.span(name.span());
                    ExprKind::Attr(Box::new(base), name.as_str().to_owned(), name_span)
                }
                TraversalOperator::Index(key) => ExprKind::Index(Box::new(base), self.boxed(key)?),
                TraversalOperator::LegacyIndex(at) => {
                    let key_span = self.span(at.span());
                    let key = ExprKind::Number(Number::from(*at.value()));
                    let key = Expr { kind: key, span: key_span };
                    ExprKind::Index(Box::new(base), Box::new(key))
                }
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                    let full = matches!(operator.value(), TraversalOperator::FullSplat(_));
                    let rest = &operators[index + 1..];
                    // `.*` takes names only along; `[*]` takes all that follows.
                    let taken = if full {
                        rest.len()
                    } else {
                        rest.iter()
                            .take_while(|next| {
                                matches!(next.value(), TraversalOperator::GetAttr(_))
                            })
                            .count()
                    };
                    let item = Expr { kind: ExprKind::SplatItem, span };
                    let each = Box::new(self.operators(item, &rest[..taken])?);
                    let kind = ExprKind::Splat { source: Box::new(base), each };
                    return self.operators(Expr { kind, span }, &rest[taken..]);
                }
            };
            base = Expr { kind, span };
        }
        Ok(base)
    }

    fn quoted(&self, elements: &[&Element]) -> Result<ExprKind> {
        if let [Element::Interpolation(lone)] = elements {
            let part = TemplatePart::Interpolation(self.expr(&lone.expr)?);
            return Ok(ExprKind::Template(vec![part], true));
        }
        self.parts(elements, [false; 2]).map(as_text)
    }

    pub fn bare_template(&self, template: &Template, span: Span) -> Result<Expr> {
        let mut template = template.clone();
        heredoc::settle(&mut template, self.text, false);
        let elements: Vec<&Element> = template.iter().collect();
        Ok(Expr { kind: self.quoted(&elements)?, span })
    }

    fn template(&self, template: &Template, trim: [bool; 2]) -> Result<Vec<TemplatePart>> {
        self.parts(&template.iter().collect::<Vec<_>>(), trim)
    }

    /// Lowers a run of elements. Strip markers (`~`) of an element eat the white space of the
    /// literal beside it; `trim` says whether what stands before and after the run does.
    fn parts(&self, elements: &[&Element], trim: [bool; 2]) -> Result<Vec<TemplatePart>> {
        let mut parts = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            match element {
                Element::Literal(text) => {
                    let after = match index.checked_sub(1).map(|before| elements[before]) {
                        None => trim[0],
                        Some(before) => edges(before)[1],
                    };
                    let before = elements.get(index + 1).map_or(trim[1], |next| edges(next)[0]);
                    let mut text = text.value().as_str();
                    if after {
                        text = text.trim_start();
                    }
                    if before {
                        text = text.trim_end();
                    }
                    if !text.is_empty() {
                        parts.push(TemplatePart::Literal(text.to_owned()));
                    }
                }
                Element::Interpolation(inner) => {
                    parts.push(TemplatePart::Interpolation(self.expr(&inner.expr)?));
                }
                Element::Directive(directive) => parts.push(self.directive(directive)?),
            }
        }
        Ok(parts)
    }

    fn directive(&self, directive: &Directive) -> Result<TemplatePart> {
        match directive {
            Directive::If(inner) => {
                let (start, end) = (&inner.if_expr, &inner.endif_expr);
                let after_yes = inner
                    .else_expr
                    .as_ref()
                    .map_or(end.strip.strip_start(), |middle| middle.strip.strip_start());
                let yes = self.template(&start.template, [start.strip.strip_end(), after_yes])?;
                let no = match &inner.else_expr {
                    Some(middle) => self.template(
                        &middle.template,
                        [middle.strip.strip_end(), end.strip.strip_start()],
                    )?,
                    None => Vec::new(),
                };
                Ok(TemplatePart::If(self.expr(&start.cond_expr)?, yes, no))
            }
            Directive::For(inner) => {
                let (start, end) = (&inner.for_expr, &inner.endfor_expr);
                Ok(TemplatePart::For {
                    key: start.key_var.as_ref().map(|name| name.as_str().to_owned()),
                    value: start.value_var.as_str().to_owned(),
                    collection: self.expr(&start.collection_expr)?,
                    body: self.template(
                        &start.template,
                        [start.strip.strip_end(), end.strip.strip_start()],
                    )?,
                })
            }
        }
    }
}

/// Whether an element strips what is before and after it.
fn edges(element: &Element) -> [bool; 2] {
    let both = |first: Strip, last: Strip| [first.strip_start(), last.strip_end()];
    match element {
        Element::Literal(_) => [false; 2],
        Element::Interpolation(inner) => both(inner.strip, inner.strip),
        Element::Directive(directive) => match &**directive {
            Directive::If(inner) => both(inner.if_expr.strip, inner.endif_expr.strip),
            Directive::For(inner) => both(inner.for_expr.strip, inner.endfor_expr.strip),
        },
    }
}

/// A text without anything to evaluate is a plain string.
fn as_text(parts: Vec<TemplatePart>) -> ExprKind {
    if parts.iter().all(|part| matches!(part, TemplatePart::Literal(_))) {
        let text = parts.into_iter().map(|part| match part {
            TemplatePart::Literal(text) => text,
            _ => String::new(),
        });
        return ExprKind::String(text.collect());
    }
    ExprKind::Template(parts, false)
}

fn binary_op(operator: hcl::BinaryOperator) -> BinaryOp {
    match operator {
        hcl::BinaryOperator::Eq => BinaryOp::Eq,
        hcl::BinaryOperator::NotEq => BinaryOp::NotEq,
        hcl::BinaryOperator::LessEq => BinaryOp::LessEq,
        hcl::BinaryOperator::GreaterEq => BinaryOp::GreaterEq,
        hcl::BinaryOperator::Less => BinaryOp::Less,
        hcl::BinaryOperator::Greater => BinaryOp::Greater,
        hcl::BinaryOperator::Plus => BinaryOp::Add,
        hcl::BinaryOperator::Minus => BinaryOp::Sub,
        hcl::BinaryOperator::Mul => BinaryOp::Mul,
        hcl::BinaryOperator::Div => BinaryOp::Div,
        hcl::BinaryOperator::Mod => BinaryOp::Mod,
        hcl::BinaryOperator::And => BinaryOp::And,
        hcl::BinaryOperator::Or => BinaryOp::Or,
    }
}
