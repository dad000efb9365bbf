//! An expression's value.

use std::collections::BTreeMap;

use super::unknown_name::{Root, Use, unknown_name, unknown_root};
use super::{access, call, repeat, text};
use crate::ast::{Expr, ExprKind};
use crate::convert::convert;
use crate::diagnostic::Diagnostic;
use crate::operators;
use crate::scope::Scope;
use crate::types::Type;
use crate::unify::unify;
use crate::value::{Kind, Value};

pub(super) type Result<T = Value, E = Diagnostic> = std::result::Result<T, E>;

/// Evaluates an expression.
///
/// # Errors
/// The first thing that is wrong in it, with its place.
pub fn eval(expr: &Expr, scope: &Scope) -> Result {
    let value = eval_any(expr, scope)?;
    // What is made of a secret is one too, and may be shown without what it becomes part of. What
    // is only referred to was added where it was made.
    let makes = matches!(
        expr.kind,
        ExprKind::Template(..)
            | ExprKind::Conditional(_)
            | ExprKind::Call { .. }
            | ExprKind::Splat { .. }
            | ExprKind::Unary(..)
            | ExprKind::Binary(..)
            | ExprKind::For(_)
    );
    match &expr.kind {
        _ if !makes => {}
        ExprKind::Template(..) | ExprKind::Conditional(_) | ExprKind::For(_) => {
            scope.add_secrets(&value);
        }
        ExprKind::Call { name, .. } if matches!(name.as_str(), "templatefile" | "try") => {
            scope.add_secrets(&value);
        }
        // Which text it is could depend on a secret, even if a template composed it.
        _ => scope.add_secret_lines(&value),
    }
    Ok(value)
}

fn eval_any(expr: &Expr, scope: &Scope) -> Result {
    match &expr.kind {
        ExprKind::Null => Ok(Value::null(Type::Dynamic)),
        ExprKind::Bool(truth) => Ok((*truth).into()),
        ExprKind::Number(number) => Ok(number.clone().into()),
        ExprKind::String(text) => Ok(text.as_str().into()),
        ExprKind::Template(parts, lone) => text::template(parts, *lone, scope),
        ExprKind::Tuple(items) => {
            Ok(Value::tuple(items.iter().map(|item| eval(item, scope)).collect::<Result<_>>()?))
        }
        ExprKind::Object(items) => object(items, scope),
        ExprKind::Paren(inner) => eval(inner, scope),
        ExprKind::Variable(name) => variable(expr, name, scope),
        ExprKind::Conditional(parts) => conditional(parts, scope),
        ExprKind::Call { .. } => call::call(expr, scope),
        ExprKind::Attr(..) | ExprKind::Index(..) | ExprKind::Splat { .. }
            if let Some(root) = unknown_root(expr, scope) =>
        {
            Err(unknown_name(root, Use::Path, scope))
        }
        ExprKind::Attr(base, name, name_span) => {
            let value = eval(base, scope)?;
            access::attribute(&value, name, base).map_err(|error| error.at(*name_span))
        }
        ExprKind::Index(base, key) => {
            let value = eval(base, scope)?;
            let key_value = eval(key, scope)?;
            let item = access::index(&value, &key_value).map_err(|error| error.at(key.span))?;
            if key_value.sensitive {
                scope.add_secret_lines(&item);
            }
            Ok(item)
        }
        ExprKind::Splat { source, each } => access::splat(source, each, scope),
        ExprKind::SplatItem => {
            Ok(scope.splat_item().cloned().unwrap_or_else(|| Value::unknown(Type::Dynamic)))
        }
        ExprKind::Unary(operator, inner) => {
            operators::unary(*operator, &eval(inner, scope)?, inner)
        }
        ExprKind::Binary(operator, operands) => operators::binary(
            *operator,
            eval(&operands[0], scope),
            eval(&operands[1], scope),
            operands,
        ),
        ExprKind::For(inner) => repeat::for_expr(inner, scope),
    }
}

pub(super) fn variable(expr: &Expr, name: &str, scope: &Scope) -> Result {
    let found = scope.get(name).cloned();
    found.ok_or_else(|| unknown_name(Root { expr, name, attribute: None }, Use::Alone, scope))
}

pub(super) fn object(items: &[(Expr, Expr)], scope: &Scope) -> Result {
    let mut attributes = BTreeMap::new();
    let mut unknown_key = false;
    let mut sensitive = false;
    for (key_expr, value_expr) in items {
        let key = key_of(key_expr, scope)?;
        let value = eval(value_expr, scope)?;
        sensitive |= key.sensitive;
        match key.as_str() {
            Some(name) => drop(attributes.insert(name.to_owned(), value)),
            None => unknown_key = true,
        }
    }
    let object = match unknown_key {
        true => Value::unknown(Type::Dynamic),
        false => Value::object(attributes),
    };
    Ok(object.mark(sensitive))
}

/// The string that an expression gives as a key.
pub(super) fn key_of(expr: &Expr, scope: &Scope) -> Result {
    let key = eval(expr, scope)?;
    let bad = |label: String| Diagnostic::error("this cannot be a key").at(expr.span).label(label);
    if key.is_null() {
        return Err(bad("it is null".into()));
    }
    convert(&key, &Type::String).map_err(|error| bad(error.to_string()))
}

/// Both results have one type, that of the one not taken too, unless it cannot be evaluated.
fn conditional(parts: &[Expr; 3], scope: &Scope) -> Result {
    let [condition, yes, no] = parts;
    let results = [eval(yes, scope), eval(no, scope)];
    let ty = match &results {
        [Ok(a), Ok(b)] if a.kind == Kind::Null(Type::Dynamic) => Some(b.ty()),
        [Ok(a), Ok(b)] if b.kind == Kind::Null(Type::Dynamic) => Some(a.ty()),
        [Ok(a), Ok(b)] => match [a.ty(), b.ty()] {
            types if types.contains(&Type::Dynamic) => Some(Type::Dynamic),
            types => unify(types.into_iter()),
        },
        _ => Some(Type::Dynamic),
    };
    let Some(ty) = ty else {
        let [a, b] = results.map(|result| result.map_or(Type::Dynamic, |value| value.ty()));
        return Err(Diagnostic::error("the two results of this condition differ in type")
            .at(yes.span)
            .label(format!("this is {}", a.with_article()))
            .also(no.span, format!("this is {}", b.with_article()))
            .help("convert one of them, for example with convert(…, string)"));
    };
    let truth = condition_of(condition, scope)?;
    // Which one was taken could tell what is secret about the other.
    let sensitive = truth.sensitive || results.iter().flatten().any(|value| value.sensitive);
    let [yes_value, no_value] = results;
    let (value, expr) = match truth.as_bool() {
        Some(true) => (yes_value?, yes),
        Some(false) => (no_value?, no),
        None => return Ok(Value::unknown(ty).mark(sensitive)),
    };
    let value = convert(&value, &ty).map_err(|error| {
        Diagnostic::error("the two results of this condition differ in type")
            .at(expr.span)
            .label(error.to_string())
    })?;
    let value = value.mark(sensitive);
    if truth.sensitive {
        scope.add_secret_lines(&value);
    }
    Ok(value)
}

pub(super) fn condition_of(expr: &Expr, scope: &Scope) -> Result {
    let value = eval(expr, scope)?;
    let invalid =
        |label: String| Diagnostic::error("a condition is a bool").at(expr.span).label(label);
    if value.is_null() {
        return Err(invalid("this is null".into()));
    }
    convert(&value, &Type::Bool).map_err(|error| invalid(error.to_string()))
}
