//! What expressions take out of values: attributes, indexes, splats.

use super::{Result, eval};
use crate::ast::Expr;
use crate::convert::convert;
use crate::diagnostic::{Diagnostic, list};
use crate::number::Number;
use crate::scope::Scope;
use crate::types::Type;
use crate::value::{Kind, Value};

/// The attribute `name` of `value`; `base` is the expression that `value` came from.
pub(super) fn attribute(value: &Value, name: &str, base: &Expr) -> Result {
    let found = match &value.kind {
        Kind::Unknown(Type::Object(attributes)) => match attributes.get(name) {
            Some(attribute) => Value::unknown(attribute.ty.clone()),
            None => return Err(missing(name, attributes.keys().map(String::as_str), base)),
        },
        Kind::Unknown(Type::Map(item)) => Value::unknown((**item).clone()),
        Kind::Unknown(Type::Dynamic) => Value::unknown(Type::Dynamic),
        Kind::Map(_, entries) | Kind::Object(entries) => match entries.get(name) {
            Some(value) => value.clone(),
            None => return Err(missing(name, entries.keys().map(String::as_str), base)),
        },
        Kind::Null(_) => {
            return Err(Diagnostic::error(format!("null has no attribute `{name}`")));
        }
        Kind::List(..) | Kind::Tuple(_) | Kind::Set(..) => {
            return Err(Diagnostic::error(format!(
                "{} has no attribute `{name}`",
                value.ty().with_article()
            ))
            .help(format!(
                "to take `{name}` of every item, write [*].{name}; of one, [0].{name}"
            )));
        }
        _ => {
            return Err(Diagnostic::error(format!(
                "{} has no attributes, so none called `{name}`",
                value.ty().with_article()
            )));
        }
    };
    Ok(found.mark(value.sensitive))
}

/// What `packer` has of the version that builds are published as.
const PUBLISHED: &[&str] = &["iterationID", "versionFingerprint"];

fn missing<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    base: &Expr,
) -> Diagnostic {
    let path = base.reference().map(|path| path.join("."));
    let message = match path.as_deref() {
        Some("var") => format!("no variable is called `{name}`"),
        Some("local") => format!("no local is called `{name}`"),
        Some("path") => format!("there is no path.{name}"),
        Some("build") => format!("build.{name} is not known here"),
        Some("packer") if PUBLISHED.contains(&name) => {
            format!("packer.{name} is only known to builds that are published")
        }
        Some("data") => format!("no data source of type `{name}` is declared"),
        Some(path) => format!("`{path}` has no attribute `{name}`"),
        None => format!("there is no attribute `{name}` here"),
    };
    let mut diagnostic = Diagnostic::error(message).suggest(name, names.clone());
    if let Some(path) = &path {
        diagnostic = diagnostic.missing(format!("{path}.{name}"));
    }
    let known: Vec<&str> = names.collect();
    match path.as_deref() {
        Some("build") if known.is_empty() => {
            diagnostic.help("it is known in provisioners and post-processors, when the build runs")
        }
        Some("packer") if PUBLISHED.contains(&name) => diagnostic.help(
            "publish the build with a `hcp_packer_registry` block, or write \
             try(packer.NAME, \"none\") to go without",
        ),
        Some("var") if known.is_empty() => {
            diagnostic.help(format!("declare it: variable \"{name}\" {{}}"))
        }
        _ if known.is_empty() => diagnostic,
        _ => diagnostic.note(format!("known here: {}", list(known))),
    }
}

/// `value[key]`
pub(super) fn index(value: &Value, key: &Value) -> Result {
    let sensitive = value.sensitive || key.sensitive;
    if value.is_null() {
        return Err(Diagnostic::error("null has no items"));
    }
    if key.is_null() {
        return Err(Diagnostic::error("null cannot be an index"));
    }
    let wanted = match value.ty() {
        Type::Dynamic => return Ok(Value::unknown(Type::Dynamic).mark(sensitive)),
        Type::List(_) | Type::Tuple(_) => Type::Number,
        Type::Map(_) | Type::Object(_) => Type::String,
        Type::Set(_) => {
            return Err(Diagnostic::error("a set has no order, so its items have no index")
                .help("make it a list first: convert(…, list(any))[0]"));
        }
        other => return Err(Diagnostic::error(format!("{} has no items", other.with_article()))),
    };
    let key = convert(key, &wanted)
        .map_err(|error| Diagnostic::error(format!("invalid index: {error}")))?;
    if value.is_unknown() || key.is_unknown() {
        let ty = match (value.ty(), key.as_str()) {
            (Type::List(item) | Type::Map(item), _) => *item,
            (Type::Object(attributes), Some(name)) => match attributes.get(name) {
                Some(attribute) => attribute.ty.clone(),
                None => return Err(no_key(name, attributes.keys())),
            },
            _ => Type::Dynamic,
        };
        return Ok(Value::unknown(ty).mark(sensitive));
    }
    let found = match (value.as_items(), value.as_entries()) {
        (Some(items), _) => {
            let position = key.as_number().and_then(Number::as_usize);
            position.and_then(|position| items.get(position)).cloned().ok_or_else(|| {
                Diagnostic::error(match items.len() {
                    0 => "the list is empty".to_owned(),
                    length => format!("the index must be a whole number from 0 to {}", length - 1),
                })
            })?
        }
        (_, entries) => {
            let name = key.as_str().unwrap_or_default();
            let found = entries.and_then(|entries| entries.get(name));
            let names = entries.into_iter().flat_map(|entries| entries.keys());
            found.cloned().ok_or_else(|| no_key(name, names))?
        }
    };
    Ok(found.mark(sensitive))
}

fn no_key<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Diagnostic {
    Diagnostic::error(format!("there is no key {name:?} here"))
        .suggest(name, names.map(String::as_str))
}

/// `source[*]`, with `each` of it.
pub(super) fn splat(source: &Expr, each: &Expr, scope: &Scope) -> Result {
    let value = eval(source, scope)?;
    let of_item = |item: Value| eval(each, &scope.with_splat_item(item));
    let type_of = |ty: &Type| of_item(Value::unknown(ty.clone())).map(|value| value.ty());
    let ty = value.ty();
    let sequence = matches!(ty, Type::List(_) | Type::Set(_) | Type::Tuple(_));
    if value.is_null() {
        // Something that is not a list is treated as a list of itself, null as an empty one.
        return match sequence {
            false => Ok(Value::tuple(Vec::new()).mark(value.sensitive)),
            true => Err(Diagnostic::error("a list that is null has no items").at(source.span)),
        };
    }
    if value.is_unknown() {
        let ty = match &ty {
            Type::List(item) | Type::Set(item) => Type::list(type_of(item)?),
            Type::Tuple(items) => Type::Tuple(items.iter().map(type_of).collect::<Result<_>>()?),
            // It could turn out to be null.
            _ => Type::Dynamic,
        };
        return Ok(Value::unknown(ty).mark(value.sensitive));
    }
    let items = match value.as_items() {
        Some(items) => items.to_vec(),
        None => vec![Value::from(value.kind.clone())],
    };
    let results = items.into_iter().map(of_item).collect::<Result<Vec<_>>>()?;
    let result = match &ty {
        Type::List(item) | Type::Set(item) => {
            let ty = match results.first() {
                Some(first) => first.ty(),
                None => type_of(item)?,
            };
            if results.iter().any(|result| result.ty() != ty) {
                return Err(Diagnostic::error("the items give values of different types")
                    .at(each.span)
                    .help("use a `for` expression, which makes a tuple of them"));
            }
            Value::list(ty, results)
        }
        _ => Value::tuple(results),
    };
    Ok(result.mark(value.sensitive))
}
