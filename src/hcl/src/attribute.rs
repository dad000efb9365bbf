//! Attributes whose values the engine itself reads.

use super::constant::{self, Purpose};
use super::convert::convert;
use super::eval::value_of;
use super::functions::FunctionContext;
use super::scope::Scope;
use super::types::Type;
use super::unknowns::Unknowns;
use super::value::Value;
use crate::ast::{Attribute, Body, Expr, ExprKind};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::Span;

/// The value of an attribute, if it is there and in order. Null is as good as not there.
pub fn value(
    body: &Body,
    name: &str,
    ty: &Type,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    let expr = &body.attribute(name)?.expr;
    let value = value_of(expr, scope, diagnostics)?;
    if value.is_null() || !Unknowns::Refuse.check(name, &value, expr, diagnostics) {
        return None;
    }
    diagnostics.keep(fitting(&value, name, ty, expr))
}

/// The value of an attribute that is a constant of type `ty`, if it is there and in order.
pub fn constant(
    body: &Body,
    name: &str,
    ty: &Type,
    functions: &FunctionContext,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    let expr = &body.attribute(name)?.expr;
    let value = constant::constant(expr, Purpose::Other(&format!("`{name}`")), functions)
        .and_then(|value| fitting(&value, name, ty, expr));
    diagnostics.keep(value)
}

/// The text of an attribute.
pub fn text(
    body: &Body,
    name: &str,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let value = value(body, name, &Type::String, scope, diagnostics)?;
    value.as_str().map(str::to_owned)
}

/// The texts of a list, which may be null as a whole, each with where it stands.
pub fn texts(
    body: &Body,
    name: &str,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, Span)> {
    let Some(Attribute { expr, .. }) = body.attribute(name) else { return Vec::new() };
    let list = value(body, name, &Type::list(Type::String), scope, diagnostics);
    let items: &[Expr] = match &expr.kind {
        ExprKind::Tuple(items) => items,
        _ => &[],
    };
    let list = list.as_ref().and_then(Value::as_items).unwrap_or_default();
    let place = |index: usize| items.get(index).map_or(expr.span, |item| item.span);
    let mut texts = Vec::with_capacity(list.len());
    for (index, item) in list.iter().enumerate() {
        match item.as_str() {
            Some(text) => texts.push((text.to_owned(), place(index))),
            None => diagnostics.push(
                Diagnostic::error(format!("an item of `{name}` cannot be null"))
                    .at(place(index))
                    .label(format!("the item [{index}] is null"))
                    .help("leave it out: [for item in LIST : item if item != null]"),
            ),
        }
    }
    texts
}

/// `value`, which `expr` came to, as a present value of type `ty`.
///
/// # Errors
/// It is null, or of another type.
pub fn fitting(value: &Value, name: &str, ty: &Type, expr: &Expr) -> Result<Value, Diagnostic> {
    let wrong = |label: String| {
        Err(Diagnostic::error(format!("invalid value for `{name}`")).at(expr.span).label(label))
    };
    if value.is_null() {
        return wrong(format!("it is null; leave `{name}` out for its default"));
    }
    match convert(value, ty) {
        Ok(value) => Ok(value),
        Err(_) if value.holds_secret() => wrong(format!("{} is required", ty.with_article())),
        Err(error) => wrong(error.to_string()),
    }
}
