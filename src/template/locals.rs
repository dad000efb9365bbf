//! Locals: named values that may build on each other.

use std::collections::BTreeMap;

use super::blocks::Template;
use super::eval::eval;
use super::scope::Scope;
use super::types::Type;
use super::value::Value;
use crate::syntax::ast::{Expr, ExprKind};
use crate::syntax::diagnostic::{Diagnostic, Diagnostics};

/// The value of every local. `scope` has everything but `local`. One that cannot be evaluated is
/// unknown, so that what builds on it is not reported as well.
pub fn evaluate(
    template: &Template,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Value> {
    let mut walk = Walk { template, scope, values: BTreeMap::new(), chain: Vec::new() };
    for name in template.locals.keys() {
        walk.visit(name, diagnostics);
    }
    walk.values
}

struct Walk<'a> {
    template: &'a Template,
    scope: &'a Scope<'a>,
    values: BTreeMap<String, Value>,
    /// The locals being evaluated, outermost first.
    chain: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, name: &'a str, diagnostics: &mut Diagnostics) {
        let Some(local) = self.template.locals.get(name) else { return };
        if self.values.contains_key(name) {
            return;
        }
        if let Some(start) = self.chain.iter().position(|&before| before == name) {
            let mut names: Vec<String> =
                self.chain[start..].iter().map(|name| format!("local.{name}")).collect();
            names.push(format!("local.{name}"));
            diagnostics.push(
                Diagnostic::error("these locals depend on each other in a circle")
                    .at(local.span)
                    .label(names.join(" → ")),
            );
            self.values.insert(name.to_owned(), Value::unknown(Type::Dynamic));
            return;
        }
        self.chain.push(name);
        for other in references(&local.expr) {
            if let Some((known, _)) = self.template.locals.get_key_value(other) {
                self.visit(known, diagnostics);
            }
        }
        self.chain.pop();
        if self.values.contains_key(name) {
            return;
        }
        let known = Value::object(self.values.clone());
        let scope = self.scope.with(BTreeMap::from([("local".to_owned(), known)]));
        let value = diagnostics
            .keep(eval(&local.expr, &scope))
            .unwrap_or_else(|| Value::unknown(Type::Dynamic));
        self.values.insert(name.to_owned(), value.mark(local.sensitive));
    }
}

/// The names of the locals that an expression mentions.
fn references(expr: &Expr) -> Vec<&str> {
    let mut found = Vec::new();
    expr.walk(&mut |inner| match &inner.kind {
        ExprKind::Attr(base, name, _) if is_local(base) => found.push(name.as_str()),
        ExprKind::Index(base, key) if is_local(base) => {
            if let ExprKind::String(name) = &key.kind {
                found.push(name.as_str());
            }
        }
        _ => {}
    });
    found
}

fn is_local(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Variable(name) if name == "local")
}
