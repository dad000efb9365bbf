//! Values that must not depend on anything else: defaults and values of variables, and what is
//! needed before anything can be evaluated.

use super::attribute::fitting;
use super::eval::eval;
use super::functions::FunctionContext;
use super::scope::Scope;
use super::types::Type;
use super::value::Value;
use crate::ast::{Body, Expr, ExprKind};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// What templates can refer to elsewhere.
pub(super) const ROOTS: &[&str] = &["var", "local", "data", "path", "packer", "source", "build"];

/// Evaluates an expression that refers to nothing and calls nothing, but for `env` where
/// `functions` allows it. `what` names it in a sentence: "the default of a variable".
///
/// # Errors
/// It does, or is wrong in itself.
pub fn constant(expr: &Expr, what: &str, functions: &FunctionContext) -> Result<Value, Diagnostic> {
    for reference in expr.references() {
        if let Some(path) = reference.reference()
            && ROOTS.contains(&path[0])
        {
            return Err(Diagnostic::error(format!("{what} cannot refer to `{}`", path.join(".")))
                .at(reference.span)
                .help(advice(what)));
        }
    }
    let mut call = None;
    expr.walk(&mut |inner| {
        if let ExprKind::Call { name, name_span, .. } = &inner.kind
            && !(name == "env" && functions.env_allowed)
        {
            call.get_or_insert((name, *name_span));
        }
    });
    if let Some((name, span)) = call {
        let only = if functions.env_allowed { "; only env(…) can" } else { "" };
        return Err(Diagnostic::error(format!("{what} cannot call `{name}`{only}"))
            .at(span)
            .help(advice(what)));
    }
    eval(expr, &Scope::new(Default::default(), functions))
}

fn advice(what: &str) -> &'static str {
    match what.contains("default") {
        true => "write the value out, or compute it in a locals block and use that local",
        false => "write the value out",
    }
}

/// The value of an attribute that is a constant of type `ty`, if it is there and in order.
pub fn attribute(
    body: &Body,
    name: &str,
    ty: &Type,
    functions: &FunctionContext,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    let expr = &body.attribute(name)?.expr;
    let value = constant(expr, &format!("`{name}`"), functions)
        .and_then(|value| fitting(&value, name, ty, expr));
    diagnostics.keep(value)
}
