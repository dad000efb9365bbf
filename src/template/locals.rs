//! Locals: named values that may build on each other.

use std::collections::BTreeMap;

use super::blocks::Template;
use super::constant;
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
        for other in local.expr.iter().flat_map(references) {
            if let Some((known, _)) = self.template.locals.get_key_value(other) {
                self.visit(known, diagnostics);
            }
        }
        self.chain.pop();
        if self.values.contains_key(name) {
            return;
        }
        // Those that are not evaluated yet are not mentioned here, but may be what is meant by a
        // name that is misspelt.
        let unknown = || Value::unknown(Type::Dynamic);
        let all = self.template.locals.keys();
        let all = all.map(|name| (name.clone(), self.values.get(name).cloned()));
        let known = all.map(|(name, value)| (name, value.unwrap_or_else(unknown)));
        let known = Value::object(known.collect());
        let scope = self.scope.with(BTreeMap::from([("local".to_owned(), known)]));
        let value = local.expr.as_ref().map(|expr| eval(expr, &scope));
        let value = value
            .and_then(|value| diagnostics.keep(value))
            .unwrap_or_else(|| Value::unknown(Type::Dynamic));
        let sensitive = local.block.as_ref().is_some_and(|block| {
            let functions = scope.functions();
            let flag =
                constant::attribute(&block.body, "sensitive", &Type::Bool, functions, diagnostics);
            // Better hidden without need than shown by mistake.
            flag.map_or(block.body.attribute("sensitive").is_some(), |flag| {
                flag.as_bool().unwrap_or(true)
            })
        });
        self.values.insert(name.to_owned(), value.mark(sensitive));
    }
}

/// The names of the locals that an expression mentions.
fn references(expr: &Expr) -> Vec<&str> {
    let paths = expr.references().into_iter().filter_map(Expr::reference);
    let mut found: Vec<&str> =
        paths.filter(|path| path[0] == "local").filter_map(|path| path.get(1).copied()).collect();
    // local["name"]
    expr.walk(&mut |inner| {
        if let ExprKind::Index(base, key) = &inner.kind
            && let (ExprKind::Variable(root), ExprKind::String(name)) = (&base.kind, &key.kind)
            && root == "local"
        {
            found.push(name);
        }
    });
    found
}
