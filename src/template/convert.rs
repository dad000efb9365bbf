//! Changing a value's type, by HCL's rules: what can be read as the other type is, what would
//! lose something is an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::number::Number;
use super::types::Type;
use super::value::{Kind, Value};

/// Why a value cannot have a type: a sentence without full stop, with the path inside the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Where inside the value, such as `.disks[0]`; empty for the value itself.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl Mismatch {
    fn new(message: impl Into<String>) -> Self {
        Mismatch { path: String::new(), message: message.into() }
    }

    fn inside(mut self, step: impl std::fmt::Display) -> Self {
        self.path = format!("{step}{}", self.path);
        self
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.message),
            false => write!(f, "at `{}`: {}", self.path, self.message),
        }
    }
}

/// `value` as `ty`, with the marks it had.
///
/// # Errors
/// What does not fit.
pub fn convert(value: &Value, ty: &Type) -> Result<Value, Mismatch> {
    converted(value, ty).map(|result| result.mark(value.sensitive))
}

fn converted(value: &Value, ty: &Type) -> Result<Value, Mismatch> {
    let kind = match (&value.kind, ty) {
        (_, Type::Dynamic) => value.kind.clone(),
        (Kind::Null(_), _) => Kind::Null(bare(ty)),
        (Kind::Unknown(from), _) => {
            if !may_convert(from, ty) {
                return Err(required(ty, from));
            }
            Kind::Unknown(bare(ty))
        }
        (Kind::Bool(_), Type::Bool)
        | (Kind::Number(_), Type::Number)
        | (Kind::String(_), Type::String) => value.kind.clone(),
        (Kind::Bool(truth), Type::String) => Kind::String(truth.to_string().into()),
        (Kind::Number(number), Type::String) => Kind::String(number.to_string().into()),
        (Kind::String(text), Type::Bool) => match &**text {
            "true" | "1" => Kind::Bool(true),
            "false" | "0" => Kind::Bool(false),
            _ => return Err(Mismatch::new("a bool is required: write true or false")),
        },
        (Kind::String(text), Type::Number) => {
            Kind::Number(Number::parse(text).ok_or_else(|| Mismatch::new("a number is required"))?)
        }
        (Kind::List(..) | Kind::Set(..) | Kind::Tuple(_), Type::List(item)) => {
            let (item, items) = sequence(value, item)?;
            Kind::List(item, Arc::new(items))
        }
        (Kind::List(..) | Kind::Set(..) | Kind::Tuple(_), Type::Set(item)) => {
            let (item, items) = sequence(value, item)?;
            return Ok(Value::set(item, items));
        }
        (Kind::Map(..) | Kind::Object(_), Type::Map(item)) => {
            let entries = value.as_entries().into_iter().flatten();
            let item = match item.is_concrete() {
                true => (**item).clone(),
                false => unify_with(item, entries.clone().map(|(_, value)| value.ty()))?,
            };
            let entries = entries
                .map(|(name, value)| {
                    convert(value, &item)
                        .map(|value| (name.clone(), value))
                        .map_err(|error| error.inside(format_args!(".{name}")))
                })
                .collect::<Result<BTreeMap<_, _>, _>>()?;
            Kind::Map(bare(&item), Arc::new(entries))
        }
        (Kind::Tuple(items) | Kind::List(_, items), Type::Tuple(types)) => {
            if items.len() != types.len() {
                return Err(Mismatch::new(format!(
                    "a tuple of {} items is required, this has {}",
                    types.len(),
                    items.len()
                )));
            }
            let items = items.iter().zip(types).enumerate().map(|(index, (item, ty))| {
                convert(item, ty).map_err(|error| error.inside(format_args!("[{index}]")))
            });
            Kind::Tuple(Arc::new(items.collect::<Result<_, _>>()?))
        }
        (Kind::Map(_, entries) | Kind::Object(entries), Type::Object(attributes)) => {
            let mut result = BTreeMap::new();
            for (name, attribute) in attributes {
                let given = entries
                    .get(name)
                    .filter(|value| !(value.is_null() && attribute.default.is_some()));
                let value = match (given, &attribute.default) {
                    (Some(value), _) => value.clone(),
                    (None, Some(default)) => default.clone(),
                    (None, None) if attribute.optional => Value::null(bare(&attribute.ty)),
                    (None, None) => {
                        return Err(Mismatch::new(format!("the attribute `{name}` is required")));
                    }
                };
                let value = convert(&value, &attribute.ty)
                    .map_err(|error| error.inside(format_args!(".{name}")))?;
                result.insert(name.clone(), value);
            }
            Kind::Object(Arc::new(result))
        }
        _ => return Err(required(ty, &value.ty())),
    };
    Ok(kind.into())
}

fn required(wanted: &Type, given: &Type) -> Mismatch {
    Mismatch::new(format!("{} is required, this is {}", article(wanted), article(given)))
}

fn article(ty: &Type) -> String {
    let name = ty.friendly();
    match name.starts_with(['a', 'e', 'i', 'o']) {
        true => format!("an {name}"),
        false => format!("a {name}"),
    }
}

fn sequence(value: &Value, item: &Type) -> Result<(Type, Vec<Value>), Mismatch> {
    let items = value.as_items().unwrap_or_default();
    let item = match item.is_concrete() {
        true => item.clone(),
        false => unify_with(item, items.iter().map(Value::ty))?,
    };
    let converted = items.iter().enumerate().map(|(index, value)| {
        convert(value, &item).map_err(|error| error.inside(format_args!("[{index}]")))
    });
    Ok((bare(&item), converted.collect::<Result<_, _>>()?))
}

/// The item type of a collection whose constraint is open: what all items agree on.
fn unify_with(item: &Type, types: impl Iterator<Item = Type>) -> Result<Type, Mismatch> {
    if *item != Type::Dynamic {
        return Ok(item.clone());
    }
    unify(types)
        .ok_or_else(|| Mismatch::new("all items must have the same type, and these have not"))
}

/// The type that values of all these types can be converted to; none if there is none. Nothing
/// at all unifies to an open type.
pub fn unify(types: impl Iterator<Item = Type>) -> Option<Type> {
    let mut common: Option<Type> = None;
    for ty in types {
        common = Some(match common {
            None => ty,
            Some(before) => unify_two(before, ty)?,
        });
    }
    Some(common.unwrap_or(Type::Dynamic))
}

fn unify_two(a: Type, b: Type) -> Option<Type> {
    if a == b {
        return Some(a);
    }
    match (a, b) {
        (Type::Dynamic, other) | (other, Type::Dynamic) => Some(other),
        (Type::String, Type::Bool | Type::Number) | (Type::Bool | Type::Number, Type::String) => {
            Some(Type::String)
        }
        (Type::List(a), Type::List(b)) => unify_two(*a, *b).map(Type::list),
        (Type::Set(a), Type::Set(b)) => unify_two(*a, *b).map(Type::set),
        (Type::Map(a), Type::Map(b)) => unify_two(*a, *b).map(Type::map),
        (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => a
            .into_iter()
            .zip(b)
            .map(|(a, b)| unify_two(a, b))
            .collect::<Option<_>>()
            .map(Type::Tuple),
        (Type::Tuple(a), Type::Tuple(b)) => unify(a.into_iter().chain(b)).map(Type::list),
        (Type::List(item), Type::Tuple(items)) | (Type::Tuple(items), Type::List(item)) => {
            unify(items.into_iter().chain([*item])).map(Type::list)
        }
        (Type::Object(a), Type::Object(b)) => {
            if a.keys().eq(b.keys()) {
                let merged = a
                    .into_iter()
                    .zip(b.into_values())
                    .map(|((name, a), b)| unify_two(a.ty, b.ty).map(|ty| (name, ty)));
                return merged.collect::<Option<Vec<_>>>().map(Type::object);
            }
            unify(a.into_values().chain(b.into_values()).map(|attribute| attribute.ty))
                .map(Type::map)
        }
        (Type::Map(item), Type::Object(attributes))
        | (Type::Object(attributes), Type::Map(item)) => {
            unify(attributes.into_values().map(|attribute| attribute.ty).chain([*item]))
                .map(Type::map)
        }
        _ => None,
    }
}

/// Whether an unknown value of type `from` might turn out to fit `to`.
fn may_convert(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Dynamic, _) | (_, Type::Dynamic) => true,
        (Type::Bool, Type::Number) | (Type::Number, Type::Bool) => false,
        (a, b) if a.is_primitive() && b.is_primitive() => true,
        (Type::List(_) | Type::Set(_) | Type::Tuple(_), Type::List(_) | Type::Set(_)) => true,
        (Type::List(_) | Type::Tuple(_), Type::Tuple(_)) => true,
        (Type::Map(_) | Type::Object(_), Type::Map(_) | Type::Object(_)) => true,
        _ => false,
    }
}

/// The type without what only matters for conversion (optional attributes, defaults).
fn bare(ty: &Type) -> Type {
    match ty {
        Type::List(item) => Type::list(bare(item)),
        Type::Set(item) => Type::set(bare(item)),
        Type::Map(item) => Type::map(bare(item)),
        Type::Tuple(items) => Type::Tuple(items.iter().map(bare).collect()),
        Type::Object(attributes) => Type::object(
            attributes.iter().map(|(name, attribute)| (name.clone(), bare(&attribute.ty))),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_can_be_read() {
        let text = |text: &str| Value::from(text);
        assert_eq!(convert(&text("5"), &Type::Number).unwrap(), Value::from(5i64));
        assert_eq!(convert(&text("true"), &Type::Bool).unwrap(), Value::from(true));
        assert_eq!(convert(&Value::from(5i64), &Type::String).unwrap(), text("5"));
        let tuple = Value::tuple(vec![text("a"), Value::from(1i64)]);
        assert_eq!(
            convert(&tuple, &Type::list(Type::Dynamic)).unwrap(),
            Value::strings(["a", "1"])
        );
    }

    #[test]
    fn says_where_it_does_not_fit() {
        let inner = Value::object([("size".to_owned(), Value::from("big"))].into());
        let ty = Type::list(Type::object([("size", Type::Number)]));
        let error = convert(&Value::tuple(vec![inner]), &ty).unwrap_err();
        assert_eq!(error.to_string(), "at `[0].size`: a number is required");
    }

    #[test]
    fn keeps_secrets_secret() {
        let secret = Value::from(5i64).mark(true);
        assert!(convert(&secret, &Type::String).unwrap().sensitive);
    }
}
