//! `dynamic "kind" { for_each = … content { … } }`: a block for every item.

use std::collections::BTreeMap;

use super::block_form::only;
use ingot_hcl::ast::{Block, Body, Expr, ExprKind, Label};
use ingot_hcl::convert::convert;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::eval::{eval, value_of};
use ingot_hcl::scope::Scope;
use ingot_hcl::source::Span;
use ingot_hcl::types::Type;
use ingot_hcl::unknowns::Unknowns;
use ingot_hcl::value::Value;

/// Names that the dynamic blocks around a block give a meaning inside of it.
pub type Names = BTreeMap<String, Value>;

/// Options as they are written, and the names that dynamic blocks around them give a meaning.
#[derive(Debug, Clone)]
pub struct Part {
    /// The options.
    pub body: Body,
    /// The names.
    pub names: Names,
}

/// What a dynamic block stands for.
#[derive(Debug, Default)]
pub struct Expansion {
    /// The blocks, each with the names that mean something in it.
    pub blocks: Vec<(Block, Names)>,
    /// Whether how many blocks there are is not known yet. There is one then, for an item that is
    /// not known, so that what is in it can be checked.
    pub open: bool,
}

/// The blocks that a dynamic block stands for. `labels` is how many labels a block of its kind has.
pub fn expand(
    block: &Block,
    labels: usize,
    scope: &Scope,
    unknowns: Unknowns,
    diagnostics: &mut Diagnostics,
) -> Expansion {
    let nothing = Expansion::default();
    let Some(parts) = parts(block, labels, diagnostics) else { return nothing };
    let Some(collection) = value_of(parts.each, scope, diagnostics) else { return nothing };
    if collection.is_unknown() && !unknowns.check("for_each", &collection, parts.each, diagnostics)
    {
        return nothing;
    }
    let invalid = |what: String| {
        Diagnostic::error("`for_each` needs a list, set, map or object")
            .at(parts.each.span)
            .label(what)
    };
    let entries = match collection.iterate() {
        Some(entries) => entries,
        // What is checked before it is known is checked for one item that is not known.
        None if collection.is_unknown() => {
            let unknown = Value::unknown(Type::Dynamic).mark(collection.sensitive);
            vec![(unknown.clone(), unknown)]
        }
        None if collection.is_null() => {
            diagnostics.push(invalid("this is null".into()));
            return nothing;
        }
        None => {
            diagnostics.push(invalid(format!("this is {}", collection.ty().with_article())));
            return nothing;
        }
    };
    let mut blocks = Vec::with_capacity(entries.len());
    let mut open = collection.is_unknown();
    for (key, value) in entries {
        let item = Value::object([("key".to_owned(), key), ("value".to_owned(), value)].into());
        let names = Names::from([(parts.iterator.clone(), item)]);
        let inner = scope.with(names.clone());
        let mut labels = Vec::with_capacity(parts.labels.len());
        for expr in parts.labels {
            match diagnostics.keep(label(expr, &inner)) {
                Some(Some(label)) => labels.push(label),
                Some(None) => {
                    // What kind of plugin this is cannot be said, so neither can what is wrong.
                    open = true;
                    unknowns.check("labels", &Value::unknown(Type::String), expr, diagnostics);
                }
                None => {}
            }
        }
        if labels.len() < parts.labels.len() {
            continue;
        }
        let (kind, header) = (block.label(0).to_owned(), block.header);
        blocks.push((Block { kind, labels, body: parts.content.clone(), header }, names));
    }
    Expansion { blocks, open }
}

struct Parts<'a> {
    each: &'a Expr,
    iterator: String,
    labels: &'a [Expr],
    content: &'a Body,
}

fn parts<'a>(block: &'a Block, labels: usize, diagnostics: &mut Diagnostics) -> Option<Parts<'a>> {
    let (kind, body) = (block.label(0), &block.body);
    if !only(body, &["for_each", "iterator", "labels"], &["content"], diagnostics) {
        return None;
    }
    let mut invalid = |message: String, span: Span, help: &str| {
        diagnostics.push(Diagnostic::error(message).at(span).help(help));
        None
    };
    let form = "write dynamic \"KIND\" { for_each = …  content { … } }";
    if block.labels.len() != 1 {
        return invalid(
            "a dynamic block names the kind of block it creates".into(),
            block.header,
            form,
        );
    }
    let contents: Vec<&Block> = body.blocks_of("content").collect();
    let Some(each) = body.attribute("for_each") else {
        return invalid("this dynamic block has no `for_each`".into(), block.header, form);
    };
    let content = match contents.as_slice() {
        [content] => content,
        [] => return invalid("this dynamic block has no `content`".into(), block.header, form),
        [_, second, ..] => {
            let message = "a dynamic block has one `content` block";
            return invalid(message.into(), second.header, "remove all but one");
        }
    };
    let iterator = match body.attribute("iterator").map(|attribute| &attribute.expr) {
        None => kind.to_owned(),
        Some(Expr { kind: ExprKind::Variable(name), .. }) => name.clone(),
        Some(other) => {
            let message = "`iterator` is a plain name without quotes";
            return invalid(message.into(), other.span, "write iterator = item");
        }
    };
    let given = body.attribute("labels");
    let exprs = match given.map(|attribute| (&attribute.expr, &attribute.expr.kind)) {
        None => &[][..],
        Some((_, ExprKind::Tuple(items))) => items.as_slice(),
        Some((expr, _)) => {
            let message = "`labels` is a list of the labels of each block";
            return invalid(message.into(), expr.span, "write labels = [\"shell\"]");
        }
    };
    if exprs.len() != labels || (given.is_some() && labels == 0) {
        let span = given.map_or(block.header, |attribute| attribute.expr.span);
        let (message, help) = match labels {
            0 => (format!("blocks of kind `{kind}` have no labels"), "remove `labels`".to_owned()),
            1 => (
                format!("blocks of kind `{kind}` have one label, this gives {}", exprs.len()),
                "write labels = [\"LABEL\"]".to_owned(),
            ),
            count => (
                format!("blocks of kind `{kind}` have {count} labels, this gives {}", exprs.len()),
                "write labels = [\"FIRST\", \"SECOND\"]".to_owned(),
            ),
        };
        return invalid(message, span, &help);
    }
    Some(Parts { each: &each.expr, iterator, labels: exprs, content: &content.body })
}

/// A label; none if it is not known yet.
fn label(expr: &Expr, scope: &Scope) -> Result<Option<Label>, Diagnostic> {
    let value = eval(expr, scope)?;
    let wrong =
        |what: String| Diagnostic::error("this cannot be a label").at(expr.span).label(what);
    let text = convert(&value, &Type::String).map_err(|error| wrong(error.to_string()))?;
    match text.as_str() {
        Some(text) => Ok(Some(Label { text: text.to_owned(), span: expr.span })),
        None if text.is_null() => Err(wrong("it is null".into())),
        None => Ok(None),
    }
}
