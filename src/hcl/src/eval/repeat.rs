//! What expressions do for every item of a collection.

use std::collections::BTreeMap;

use super::{Result, condition_of, eval, key_of};
use crate::ast::{Expr, ForExpr};
use crate::diagnostic::Diagnostic;
use crate::scope::Scope;
use crate::types::Type;
use crate::value::Value;

/// `[for …]` and `{for …}`
pub(super) fn for_expr(expr: &ForExpr, scope: &Scope) -> Result {
    let iteration = iterate(&expr.collection, scope)?;
    if let Some(cond) = &expr.cond {
        // What is wrong with the condition is wrong for a list without items too.
        let names = expr.key_var.iter().chain([&expr.value_var]);
        let names = names.map(|name| (name.clone(), Value::unknown(Type::Dynamic)));
        condition_of(cond, &scope.with(names.collect()))?;
    }
    let (entries, mut sensitive) = match iteration {
        Iteration::Items(entries, sensitive) => (entries, sensitive),
        Iteration::Unknown(value) => return Ok(value),
    };
    let mut list = Vec::new();
    let mut object: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut unknown = false;
    for (key, value) in entries {
        let mut names = BTreeMap::from([(expr.value_var.clone(), value)]);
        names.extend(expr.key_var.iter().map(|name| (name.clone(), key.clone())));
        let inner = scope.with(names);
        if let Some(cond) = &expr.cond {
            let truth = condition_of(cond, &inner)?;
            sensitive |= truth.sensitive;
            match truth.as_bool() {
                Some(true) => {}
                Some(false) => continue,
                None => {
                    unknown = true;
                    continue;
                }
            }
        }
        let value = eval(&expr.value, &inner)?;
        let Some(key_expr) = &expr.key else {
            list.push(value);
            continue;
        };
        let key = key_of(key_expr, &inner)?;
        sensitive |= key.sensitive;
        let Some(name) = key.as_str() else {
            unknown = true;
            continue;
        };
        let values = object.entry(name.to_owned()).or_default();
        if !values.is_empty() && !expr.group {
            return Err(Diagnostic::error(format!("two items have the key {name:?}"))
                .at(key_expr.span)
                .help("to gather the values of equal keys in lists, write ... after the value"));
        }
        values.push(value);
    }
    let result = match (&expr.key, unknown) {
        (_, true) => Value::unknown(Type::Dynamic),
        (None, _) => Value::tuple(list),
        (Some(_), _) => Value::object(
            object
                .into_iter()
                .map(|(name, mut values)| match values.pop() {
                    Some(value) if !expr.group => (name, value),
                    last => {
                        values.extend(last);
                        (name, Value::tuple(values))
                    }
                })
                .collect(),
        ),
    };
    let result = result.mark(sensitive);
    if sensitive {
        scope.add_secret_lines(&result);
    }
    Ok(result)
}

/// What there is to go through.
pub(super) enum Iteration {
    Items(Vec<(Value, Value)>, bool),
    Unknown(Value),
}

/// The items of a collection, as keys and values.
pub(super) fn iterate(collection: &Expr, scope: &Scope) -> Result<Iteration> {
    let value = eval(collection, scope)?;
    let iterable = !value.ty().is_primitive();
    if value.is_unknown() && iterable {
        return Ok(Iteration::Unknown(Value::unknown(Type::Dynamic).mark(value.sensitive)));
    }
    let invalid = |what: String| {
        Diagnostic::error("`for` needs a list, set, map or object").at(collection.span).label(what)
    };
    if value.is_null() {
        return Err(invalid("this is null".into()));
    }
    match value.iterate() {
        Some(entries) => Ok(Iteration::Items(entries, value.sensitive)),
        None => Err(invalid(format!("this is {}", value.ty().with_article()))),
    }
}
