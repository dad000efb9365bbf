//! Locals: named values that may build on each other.

use std::collections::BTreeMap;

use super::blocks::{Local, Template};
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
    /// `local` as one of the locals sees it.
    fn known(&self, local: &Local) -> Value {
        let value = |name: &str| {
            let known = self.values.get(name).cloned();
            (name.to_owned(), known.unwrap_or_else(|| Value::unknown(Type::Dynamic)))
        };
        let named = local.expr.as_ref().filter(|expr| names_its_locals(self.template, expr));
        Value::object(match named {
            Some(expr) => references(expr).into_iter().map(value).collect(),
            // Those that are not evaluated yet may be what is meant by a name that is misspelt.
            None => self.template.locals.keys().map(|name| value(name)).collect(),
        })
    }

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
        let scope = self.scope.with(BTreeMap::from([("local".to_owned(), self.known(local))]));
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

/// Whether an expression names the locals it looks at, each of which there is.
fn names_its_locals(template: &Template, expr: &Expr) -> bool {
    let mut paths = expr.references().into_iter().filter_map(Expr::reference);
    paths.all(|path| match path.as_slice() {
        ["local"] => false,
        ["local", name, ..] => template.locals.contains_key(*name),
        _ => true,
    })
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
