//! What strings ask of the engine, as expressions.
//!
//! `{{ user "name" }}` becomes `var.name`, so that a variable is converted to what an option takes,
//! stays secret and may be unknown, as in HCL2. `{{ build "ID" }}` in a provisioner or
//! post-processor becomes `build.ID`. All other actions stay in their strings, for those who render
//! options.

use ingot_go_template::has_actions;
use ingot_go_template::syntax::{self, Base, Node, Pipeline};
use ingot_hcl::ast::{Expr, ExprKind, TemplatePart};
use ingot_hcl::source::Span;
use serde_json::Value;

use crate::template::{Template, Text};

/// Where a string stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// In a builder, before there is a machine.
    Builder,
    /// In a provisioner or post-processor.
    Step,
}

/// The same as [`lower`] for the values of an object only: its keys stay as they are.
pub fn lower_values(expr: &Expr, place: Position) -> Expr {
    let ExprKind::Object(items) = &expr.kind else { return lower(expr, place) };
    let items = items.iter().map(|(key, value)| (key.clone(), lower(value, place)));
    Expr { kind: ExprKind::Object(items.collect()), span: expr.span }
}

/// An expression for what a string, or the strings in a list or an object, ask of the engine.
pub fn lower(expr: &Expr, place: Position) -> Expr {
    let kind = match &expr.kind {
        ExprKind::String(text) => lower_text(text, expr.span, place),
        ExprKind::Tuple(items) => {
            ExprKind::Tuple(items.iter().map(|item| lower(item, place)).collect())
        }
        ExprKind::Object(items) => {
            let items = items.iter();
            ExprKind::Object(items.map(|(k, v)| (lower(k, place), lower(v, place))).collect())
        }
        other => other.clone(),
    };
    Expr { kind, span: expr.span }
}

fn lower_text(text: &str, span: Span, place: Position) -> ExprKind {
    let plain = || ExprKind::String(text.to_owned());
    if !has_actions(text) {
        return plain();
    }
    // What cannot be read is reported by those who render it.
    let Ok(nodes) = syntax::parse(text) else { return plain() };
    let mut parts: Vec<TemplatePart> = Vec::new();
    let mut found = false;
    for node in &nodes {
        let part = match node {
            Node::Text(text) => TemplatePart::Literal(text.clone()),
            Node::Action(pipeline) => match called(pipeline) {
                Some(("user", name)) => reference("var", name, span),
                Some(("build", name)) if place == Position::Step => reference("build", name, span),
                _ => {
                    let inner = text.get(pipeline.span.clone()).unwrap_or_default();
                    TemplatePart::Literal(format!("{{{{ {inner} }}}}"))
                }
            },
            // A part of it may refer to what another part sets.
            _ => return plain(),
        };
        found |= matches!(part, TemplatePart::Interpolation(_));
        parts.push(part);
    }
    // A variable set in one action is used in another.
    let sets = nodes.iter().any(|node| match node {
        Node::Action(pipeline) => !pipeline.variables.is_empty(),
        _ => false,
    });
    match found && !sets {
        true => {
            let alone = parts.len() == 1;
            ExprKind::Template(parts, alone)
        }
        false => plain(),
    }
}

/// `root.name`
fn reference(root: &str, name: &str, span: Span) -> TemplatePart {
    let root = Expr { kind: ExprKind::Variable(root.to_owned()), span };
    let kind = ExprKind::Attr(Box::new(root), name.to_owned(), span);
    TemplatePart::Interpolation(Expr { kind, span })
}

/// The function and the string that it is given, if that is all of a pipeline.
pub(crate) fn called(pipeline: &Pipeline) -> Option<(&str, &str)> {
    let ([command], true) = (pipeline.commands.as_slice(), pipeline.variables.is_empty()) else {
        return None;
    };
    let [function, argument] = command.operands.as_slice() else { return None };
    match (&function.base, &argument.base) {
        (Base::Function(name), Base::Literal(Value::String(text)))
            if function.fields.is_empty() && argument.fields.is_empty() =>
        {
            Some((name, text))
        }
        _ => None,
    }
}

/// The names of the variables that a string asks for, wherever in it.
pub fn variables_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if has_actions(text)
        && let Ok(nodes) = syntax::parse(text)
    {
        in_nodes(&nodes, &mut found);
    }
    found
}

fn in_nodes(nodes: &[Node], found: &mut Vec<String>) {
    for node in nodes {
        match node {
            Node::Action(pipeline) => in_pipeline(pipeline, found),
            Node::If { condition: head, then, otherwise }
            | Node::With { value: head, then, otherwise }
            | Node::Range { items: head, body: then, otherwise } => {
                in_pipeline(head, found);
                in_nodes(then, found);
                in_nodes(otherwise, found);
            }
            Node::Text(_) | Node::Break | Node::Continue => {}
        }
    }
}

fn in_pipeline(pipeline: &Pipeline, found: &mut Vec<String>) {
    for command in &pipeline.commands {
        if let [function, argument, ..] = command.operands.as_slice()
            && let (Base::Function(name), Base::Literal(Value::String(text))) =
                (&function.base, &argument.base)
            && name == "user"
        {
            found.push(text.clone());
        }
        for operand in &command.operands {
            if let Base::Pipeline(inner) = &operand.base {
                in_pipeline(inner, found);
            }
        }
    }
}

impl Template {
    /// The names of all variables that anything asks for, other variables included.
    pub(crate) fn all_variables_used(&self) -> Vec<String> {
        let defaults = self.variables.iter().filter_map(|variable| variable.default.as_ref());
        let defaults = defaults.flat_map(|default| variables_in(&default.text));
        defaults.chain(self.variables_used().into_iter().map(|used| used.text)).collect()
    }

    /// The variables that builders, provisioners and post-processors ask for, and where.
    pub fn variables_used(&self) -> Vec<Text> {
        let mut used = Vec::new();
        let mut add = |expr: &Expr| {
            expr.walk(&mut |inner| {
                if let ExprKind::String(text) = &inner.kind {
                    let names = variables_in(text).into_iter();
                    used.extend(names.map(|text| Text { text, span: inner.span }));
                }
            });
        };
        for component in self.builders.iter().chain(self.steps()) {
            if let Some(name) = &component.name {
                add(&Expr { kind: ExprKind::String(name.text.clone()), span: name.span });
            }
            component.attributes.iter().for_each(|attribute| add(&attribute.expr));
        }
        used
    }
}
