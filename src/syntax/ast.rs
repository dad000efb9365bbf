//! The syntax tree that both native (`.hcl`) and JSON templates become.
//!
//! It is our own, small tree rather than the parser's, so that every node has a [`Span`], escapes
//! and strip markers are resolved once, and JSON needs no second evaluator.

use super::source::Span;
use crate::template::number::Number;

/// The inside of a file or block.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// `name = value`, in order.
    pub attributes: Vec<Attribute>,
    /// Nested blocks, in order.
    pub blocks: Vec<Block>,
    /// All of it.
    pub span: Span,
}

impl Body {
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
    /// Calls `visit` for this expression and all below it.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        match &self.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Variable(_)
            | ExprKind::SplatItem => {}
            ExprKind::Template(parts, _) => walk_parts(parts, visit),
            ExprKind::Tuple(items) => items.iter().for_each(|item| item.walk(visit)),
            ExprKind::Object(items) => items.iter().for_each(|(key, value)| {
                key.walk(visit);
                value.walk(visit);
            }),
            ExprKind::Paren(inner) | ExprKind::Unary(_, inner) | ExprKind::Attr(inner, ..) => {
                inner.walk(visit);
            }
            ExprKind::Conditional(parts) => parts.iter().for_each(|part| part.walk(visit)),
            ExprKind::Call { args, .. } => args.iter().for_each(|arg| arg.walk(visit)),
            ExprKind::Index(base, key) => {
                base.walk(visit);
                key.walk(visit);
            }
            ExprKind::Splat { source, each } => {
                source.walk(visit);
                each.walk(visit);
            }
            ExprKind::Binary(_, operands) => operands.iter().for_each(|side| side.walk(visit)),
            ExprKind::For(expr) => {
                expr.collection.walk(visit);
                expr.key.iter().for_each(|key| key.walk(visit));
                expr.value.walk(visit);
                expr.cond.iter().for_each(|cond| cond.walk(visit));
            }
        }
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
            _ => None,
        }
    }
}

fn walk_parts<'a>(parts: &'a [TemplatePart], visit: &mut dyn FnMut(&'a Expr)) {
    for part in parts {
        match part {
            TemplatePart::Literal(_) => {}
            TemplatePart::Interpolation(expr) => expr.walk(visit),
            TemplatePart::If(cond, yes, no) => {
                cond.walk(visit);
                walk_parts(yes, visit);
                walk_parts(no, visit);
            }
            TemplatePart::For { collection, body, .. } => {
                collection.walk(visit);
                walk_parts(body, visit);
            }
        }
    }
}
