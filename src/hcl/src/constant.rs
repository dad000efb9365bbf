//! Values that must not depend on anything else: defaults and values of variables, and what is
//! needed before anything can be evaluated.

use super::eval::eval;
use super::functions::FunctionContext;
use super::scope::{ROOTS, Scope};
use super::value::Value;
use crate::ast::{Expr, ExprKind};
use crate::diagnostic::Diagnostic;

/// What a constant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// A default, of what this says: "a variable". What is computed can be a local instead.
    Default(&'a str),
    /// Something else, as sentences call it: "the value of a variable".
    Other(&'a str),
}

impl std::fmt::Display for Purpose<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Purpose::Default(of) => write!(f, "the default of {of}"),
            Purpose::Other(what) => f.write_str(what),
        }
    }
}

/// Evaluates an expression that refers to nothing and calls nothing, but for `env` where
/// `functions` allows it.
///
/// # Errors
/// It does, or is wrong in itself.
pub fn constant(
    expr: &Expr,
    purpose: Purpose<'_>,
    functions: &FunctionContext,
) -> Result<Value, Diagnostic> {
    for reference in expr.references() {
        if let Some(path) = reference.reference()
            && ROOTS.contains(&path[0])
        {
            let message = format!("{purpose} cannot refer to `{}`", path.join("."));
            return Err(Diagnostic::error(message).at(reference.span).help(advice(purpose)));
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
        let message = format!("{purpose} cannot call `{name}`{only}");
        return Err(Diagnostic::error(message).at(span).help(advice(purpose)));
    }
    eval(expr, &Scope::new(Default::default(), functions))
}

fn advice(purpose: Purpose<'_>) -> &'static str {
    match purpose {
        Purpose::Default(_) => {
            "write the value out, or compute it in a locals block and use that local"
        }
        Purpose::Other(_) => "write the value out",
    }
}
