//! The syntax tree that both native (`.hcl`) and JSON templates become.
//!
//! It is our own, small tree rather than the parser's, so that every node has a [`Span`], escapes
//! and strip markers are resolved once, and JSON needs no second evaluator.

use super::source::Span;
use crate::number::Number;

/// The inside of a file or block.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// `name = value`, in order.
    pub attributes: Vec<Attribute>,
    /// Nested blocks, in order.
    pub blocks: Vec<Block>,
    /// All of it.
    pub span: Span,
    /// The syntax it was written in.
    pub syntax: Syntax,
}

/// What a body was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// HCL's own.
    Native,
    /// JSON, where blocks and attributes look the same.
    Json,
    /// The JSON of legacy JSON templates: the same, and strings, numbers and bools stand for each
    /// other, as does an item for a list of one.
    LegacyJson,
}

impl Body {
    /// Whether it was JSON, where blocks and attributes look the same.
    pub fn is_json(&self) -> bool {
        self.syntax != Syntax::Native
    }

    /// The attribute called `name`.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The blocks of one kind.
    pub fn blocks_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |block| block.kind == kind)
    }
}

/// `name = value`
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// The name.
    pub name: String,
    /// Where the name stands.
    pub name_span: Span,
    /// The value.
    pub expr: Expr,
}

/// `kind "label" { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// The first word.
    pub kind: String,
    /// The labels.
    pub labels: Vec<Label>,
    /// Between the braces.
    pub body: Body,
    /// From the first word to the last label: what a diagnostic about the block underlines.
    pub header: Span,
}

impl Block {
    /// The text of label number `index`, empty if there is none.
    pub fn label(&self, index: usize) -> &str {
        self.labels.get(index).map_or("", |label| label.text.as_str())
    }
}

/// A block's label.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// Its text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// An expression and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The forms of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `1.5`
    Number(Number),
    /// A text without interpolations.
    String(String),
    /// A text with interpolations or directives. The flag says that it is a lone `${…}` in
    /// quotes, which passes its value on as it is.
    Template(Vec<TemplatePart>, bool),
    /// `[a, b]`
    Tuple(Vec<Expr>),
    /// `{ a = b }`
    Object(Vec<(Expr, Expr)>),
    /// `(a)`
    Paren(Box<Expr>),
    /// A name at the start of a reference.
    Variable(String),
    /// `a ? b : c`
    Conditional(Box<[Expr; 3]>),
    /// `name(args…)`
    Call {
        /// The function.
        name: String,
        /// Where its name stands.
        name_span: Span,
        /// What it is given.
        args: Vec<Expr>,
        /// Whether the last argument is spread with `...`.
        expand: bool,
    },
    /// `base.name`
    Attr(Box<Expr>, String, Span),
    /// `base[key]`
    Index(Box<Expr>, Box<Expr>),
    /// `source[*]…` or `source.*…`: `each` is evaluated for every item of `source`, which it
    /// calls [`ExprKind::SplatItem`].
    Splat {
        /// What is iterated.
        source: Box<Expr>,
        /// What is taken of each item.
        each: Box<Expr>,
    },
    /// The item of the innermost splat.
    SplatItem,
    /// `-a`, `!a`
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`
    Binary(BinaryOp, Box<[Expr; 2]>),
    /// `[for …]`, `{for …}`
    For(Box<ForExpr>),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum TemplatePart {
    /// Text as it is.
    Literal(String),
    /// `${…}`
    Interpolation(Expr),
    /// `%{ if … }…%{ else }…%{ endif }`
    If(Expr, Vec<TemplatePart>, Vec<TemplatePart>),
    /// `%{ for k, v in … }…%{ endfor }`
    For {
        /// The name for the key, if asked for.
        key: Option<String>,
        /// The name for the value.
        value: String,
        /// What is iterated.
        collection: Expr,
        /// What is repeated.
        body: Vec<TemplatePart>,
    },
}

/// A for expression.
#[derive(Debug, Clone, PartialEq)]
pub struct ForExpr {
    /// The name for the key, if asked for.
    pub key_var: Option<String>,
    /// The name for the value.
    pub value_var: String,
    /// What is iterated.
    pub collection: Expr,
    /// The key of each item, for `{for …}`.
    pub key: Option<Expr>,
    /// The value of each item.
    pub value: Expr,
    /// The condition after `if`.
    pub cond: Option<Expr>,
    /// `...`: values of equal keys are grouped.
    pub group: bool,
}

/// An operator with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `!`
    Not,
}

/// An operator with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Eq,
    NotEq,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    And,
    Or,
}

impl BinaryOp {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Eq => "==",
            BinaryOp::NotEq => "!=",
            BinaryOp::Less => "<",
            BinaryOp::LessEq => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEq => ">=",
            BinaryOp::And => "&&",
            BinaryOp::Or => "||",
        }
    }
}

impl Expr {
    /// The expressions directly inside.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Variable(_)
            | ExprKind::SplatItem => Vec::new(),
            ExprKind::Template(parts, _) => parts_inside(parts),
            ExprKind::Tuple(items) => items.iter().collect(),
            ExprKind::Object(items) => items.iter().flat_map(|(key, value)| [key, value]).collect(),
            ExprKind::Paren(inner) | ExprKind::Unary(_, inner) | ExprKind::Attr(inner, ..) => {
                vec![inner]
            }
            ExprKind::Conditional(parts) => parts.iter().collect(),
            ExprKind::Call { args, .. } => args.iter().collect(),
            ExprKind::Index(base, key) => vec![base, key],
            ExprKind::Splat { source, each } => vec![source, each],
            ExprKind::Binary(_, operands) => operands.iter().collect(),
            ExprKind::For(expr) => [&expr.collection]
                .into_iter()
                .chain(&expr.key)
                .chain([&expr.value])
                .chain(&expr.cond)
                .collect(),
        }
    }

    /// Replaces every place in the expression.
    pub fn map_spans(&mut self, place: &dyn Fn(Span) -> Span) {
        self.span = place(self.span);
        match &mut self.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Variable(_)
            | ExprKind::SplatItem => {}
            ExprKind::Template(parts, _) => map_parts(parts, place),
            ExprKind::Tuple(items) => items.iter_mut().for_each(|item| item.map_spans(place)),
            ExprKind::Object(items) => items.iter_mut().for_each(|(key, value)| {
                key.map_spans(place);
                value.map_spans(place);
            }),
            ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => inner.map_spans(place),
            ExprKind::Attr(inner, _, name_span) => {
                inner.map_spans(place);
                *name_span = place(*name_span);
            }
            ExprKind::Conditional(parts) => parts.iter_mut().for_each(|part| part.map_spans(place)),
            ExprKind::Call { args, name_span, .. } => {
                *name_span = place(*name_span);
                args.iter_mut().for_each(|arg| arg.map_spans(place));
            }
            ExprKind::Index(base, key) => {
                base.map_spans(place);
                key.map_spans(place);
            }
            ExprKind::Splat { source, each } => {
                source.map_spans(place);
                each.map_spans(place);
            }
            ExprKind::Binary(_, sides) => sides.iter_mut().for_each(|side| side.map_spans(place)),
            ExprKind::For(expr) => {
                expr.collection.map_spans(place);
                expr.key.iter_mut().for_each(|key| key.map_spans(place));
                expr.value.map_spans(place);
                expr.cond.iter_mut().for_each(|cond| cond.map_spans(place));
            }
        }
    }

    /// The blocks of a kind that an attribute of a [JSON body](Body::is_json) stands for: one for
    /// an object, one for each object of a list. None if it is something else.
    pub fn json_blocks(&self, kind: &str, header: Span) -> Option<Vec<Block>> {
        match &self.kind {
            ExprKind::Object(items) => {
                let attributes = items.iter().filter(|(key, _)| !is_comment(key)).map(attribute);
                let body = Body {
                    attributes: attributes.collect::<Option<_>>()?,
                    blocks: Vec::new(),
                    span: self.span,
                    syntax: Syntax::Json,
                };
                Some(vec![Block { kind: kind.to_owned(), labels: Vec::new(), body, header }])
            }
            ExprKind::Tuple(items) => {
                let blocks = items.iter().map(|item| item.json_blocks(kind, header));
                Some(blocks.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
            }
            _ => None,
        }
    }

    /// Calls `visit` for this expression and all below it.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        self.children().into_iter().for_each(|child| child.walk(visit));
    }

    /// The references in it, such as `var.a` or `local.b.c`, but for those to what a `for`
    /// inside of it names. Keys that are not fixed end a reference: of `var.a[n].c`, `var.a` is found.
    pub fn references(&self) -> Vec<&Expr> {
        let mut references = References::default();
        references.visit(self);
        references.found
    }

    /// The names of the reference that starts here, as far as they are fixed: `var.a["b"].c` is
    /// `["var", "a"]`. None for expressions that are not references.
    pub fn reference(&self) -> Option<Vec<&str>> {
        match &self.kind {
            ExprKind::Variable(name) => Some(vec![name]),
            ExprKind::Attr(base, name, _) => {
                let mut path = base.reference()?;
                path.push(name);
                Some(path)
            }
            ExprKind::Index(base, key) => match &key.kind {
                ExprKind::String(name) => {
                    let mut path = base.reference()?;
                    path.push(name);
                    Some(path)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

fn is_comment(key: &Expr) -> bool {
    matches!(&key.kind, ExprKind::String(name) if name == "//")
}

fn attribute((key, value): &(Expr, Expr)) -> Option<Attribute> {
    match &key.kind {
        ExprKind::String(name) => {
            Some(Attribute { name: name.clone(), name_span: key.span, expr: value.clone() })
        }
        _ => None,
    }
}

fn map_parts(parts: &mut [TemplatePart], place: &dyn Fn(Span) -> Span) {
    for part in parts {
        match part {
            TemplatePart::Literal(_) => {}
            TemplatePart::Interpolation(expr) => expr.map_spans(place),
            TemplatePart::If(cond, yes, no) => {
                cond.map_spans(place);
                map_parts(yes, place);
                map_parts(no, place);
            }
            TemplatePart::For { collection, body, .. } => {
                collection.map_spans(place);
                map_parts(body, place);
            }
        }
    }
}

/// Finds the references in an expression whose names it does not give a meaning itself, as `for`
/// does: `var.a`, not `s` in `[for s in var.a : s]`.
#[derive(Default)]
struct References<'a> {
    /// The names that the expressions around give a meaning.
    bound: Vec<&'a str>,
    found: Vec<&'a Expr>,
}

impl<'a> References<'a> {
    fn visit(&mut self, expr: &'a Expr) {
        if let Some(path) = expr.reference() {
            if !self.bound.contains(&path[0]) {
                self.found.push(expr);
            }
            return;
        }
        match &expr.kind {
            ExprKind::For(inner) => {
                self.visit(&inner.collection);
                let names = inner.key_var.iter().chain([&inner.value_var]);
                self.inside(names, |this| {
                    let parts = inner.key.iter().chain([&inner.value]).chain(&inner.cond);
                    parts.for_each(|part| this.visit(part));
                });
            }
            ExprKind::Template(parts, _) => self.parts(parts),
            _ => expr.children().into_iter().for_each(|child| self.visit(child)),
        }
    }

    fn parts(&mut self, parts: &'a [TemplatePart]) {
        for part in parts {
            match part {
                TemplatePart::Literal(_) => {}
                TemplatePart::Interpolation(expr) => self.visit(expr),
                TemplatePart::If(cond, yes, no) => {
                    self.visit(cond);
                    self.parts(yes);
                    self.parts(no);
                }
                TemplatePart::For { key, value, collection, body } => {
                    self.visit(collection);
                    self.inside(key.iter().chain([value]), |this| this.parts(body));
                }
            }
        }
    }

    fn inside(&mut self, names: impl Iterator<Item = &'a String>, work: impl FnOnce(&mut Self)) {
        let outside = self.bound.len();
        self.bound.extend(names.map(String::as_str));
        work(self);
        self.bound.truncate(outside);
    }
}

/// The expressions in the pieces of a template.
fn parts_inside(parts: &[TemplatePart]) -> Vec<&Expr> {
    let mut found = Vec::new();
    for part in parts {
        match part {
            TemplatePart::Literal(_) => {}
            TemplatePart::Interpolation(expr) => found.push(expr),
            TemplatePart::If(cond, yes, no) => {
                found.push(cond);
                found.extend(parts_inside(yes));
                found.extend(parts_inside(no));
            }
            TemplatePart::For { collection, body, .. } => {
                found.push(collection);
                found.extend(parts_inside(body));
            }
        }
    }
    found
}
