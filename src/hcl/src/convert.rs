//! Changing a value's type, by HCL's rules: what can be read as the other type is, what would
//! lose something is an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::number::Number;
use super::types::Type;
use super::unify::unify;
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
    if !convertible(&value.ty(), ty) {
        // The conversion itself knows best at which part it fails.
        converted(value, ty)?;
        return Err(required(ty, &value.ty()));
    }
    converted(value, ty).map(|result| result.mark(value.sensitive))
}

fn converted(value: &Value, ty: &Type) -> Result<Value, Mismatch> {
    let kind = match (&value.kind, ty) {
        (_, Type::Dynamic) => value.kind.clone(),
        (Kind::Null(from) | Kind::Unknown(from), _) if !convertible(from, ty) => {
            return Err(required(ty, from));
        }
        (Kind::Null(from), _) => Kind::Null(filled(ty, from)),
        (Kind::Unknown(from), _) => Kind::Unknown(filled(ty, from)),
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
            let (names, items): (Vec<&String>, Vec<&Value>) = entries.unzip();
            let own = match &value.kind {
                Kind::Map(own, _) => Some(own),
                _ => None,
            };
            let step = |index: usize| format!(".{}", names[index]);
            let (item, items) = same_type(&items, own, item, step)?;
            Kind::Map(item, Arc::new(names.into_iter().cloned().zip(items).collect()))
        }
        (Kind::Tuple(items), Type::Tuple(types)) => {
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
    Mismatch::new(format!(
        "{} is required, this is {}",
        wanted.with_article(),
        given.with_article()
    ))
}

fn sequence(value: &Value, item: &Type) -> Result<(Type, Vec<Value>), Mismatch> {
    let items: Vec<&Value> = value.as_items().unwrap_or_default().iter().collect();
    let own = match &value.kind {
        Kind::List(own, _) | Kind::Set(own, _) => Some(own),
        _ => None,
    };
    same_type(&items, own, item, |index| format!("[{index}]"))
}

/// The items of a collection, each as `item`; where that is open, as what they all agree on.
/// `own` is their type if they are a collection already, `step` how a path names one of them.
fn same_type(
    items: &[&Value],
    own: Option<&Type>,
    item: &Type,
    step: impl Fn(usize) -> String,
) -> Result<(Type, Vec<Value>), Mismatch> {
    let each = |values: &[&Value], ty: &Type| -> Result<Vec<Value>, Mismatch> {
        let convert = |(index, value): (usize, &&Value)| {
            convert(value, ty).map_err(|error| error.inside(step(index)))
        };
        values.iter().enumerate().map(convert).collect()
    };
    if items.is_empty() {
        let open = *item == Type::Dynamic;
        return Ok((own.filter(|_| open).cloned().unwrap_or_else(|| bare(item)), Vec::new()));
    }
    let mut values = each(items, item)?;
    if item.is_concrete() {
        return Ok((bare(item), values));
    }
    let common = unify(values.iter().map(Value::ty))
        .filter(|common| *common != Type::Dynamic || values.iter().all(|v| v.ty() == *common))
        .ok_or_else(|| Mismatch::new("all items must have the same type, and these have not"))?;
    values = each(&values.iter().collect::<Vec<_>>(), &common)?;
    Ok((common, values))
}

/// Whether values of type `from` can be converted to `to`; a single value may still not fit.
pub fn convertible(from: &Type, to: &Type) -> bool {
    let collects = |parts: &mut dyn Iterator<Item = &Type>, item: &Type| {
        let parts: Vec<&Type> = parts.collect();
        match (parts.is_empty(), item) {
            (true, _) => true,
            (false, Type::Dynamic) => match unify(parts.iter().map(|&part| part.clone())) {
                Some(Type::Dynamic) => parts.iter().all(|&part| *part == Type::Dynamic),
                Some(common) => parts.iter().all(|part| convertible(part, &common)),
                None => false,
            },
            (false, item) => parts.iter().all(|part| convertible(part, item)),
        }
    };
    match (from, to) {
        (Type::Dynamic, _) | (_, Type::Dynamic) => true,
        (Type::Bool, Type::Number) | (Type::Number, Type::Bool) => false,
        (a, b) if a.is_primitive() && b.is_primitive() => true,
        (Type::List(from) | Type::Set(from), Type::List(to) | Type::Set(to))
        | (Type::Map(from), Type::Map(to)) => convertible(from, to),
        (Type::Tuple(items), Type::List(item) | Type::Set(item)) => {
            collects(&mut items.iter(), item)
        }
        (Type::Tuple(from), Type::Tuple(to)) => {
            from.len() == to.len() && from.iter().zip(to).all(|(from, to)| convertible(from, to))
        }
        (Type::Object(attributes), Type::Map(item)) => {
            collects(&mut attributes.values().map(|attribute| &attribute.ty), item)
        }
        (Type::Object(from), Type::Object(to)) => to.iter().all(|(name, to)| {
            let optional = to.optional || to.default.is_some();
            from.get(name).map_or(optional, |from| convertible(&from.ty, &to.ty))
        }),
        (Type::Map(from), Type::Object(to)) => {
            to.values().all(|to| to.optional || convertible(from, &to.ty))
        }
        _ => false,
    }
}

/// `ty` with its open parts filled by what is known of the type `from`: the type of an unknown
/// or null that was converted.
fn filled(ty: &Type, from: &Type) -> Type {
    let common = || {
        unify(
            match from {
                Type::Tuple(items) => items.clone(),
                Type::Object(attributes) => attributes.values().map(|a| a.ty.clone()).collect(),
                Type::List(item) | Type::Set(item) | Type::Map(item) => vec![(**item).clone()],
                _ => Vec::new(),
            }
            .into_iter(),
        )
        .unwrap_or(Type::Dynamic)
    };
    match (ty, from) {
        (Type::Dynamic, from) => from.clone(),
        (Type::List(item), _) => Type::list(filled(item, &common())),
        (Type::Set(item), _) => Type::set(filled(item, &common())),
        (Type::Map(item), _) => Type::map(filled(item, &common())),
        (Type::Tuple(items), Type::Tuple(from)) if items.len() == from.len() => {
            Type::Tuple(items.iter().zip(from).map(|(item, from)| filled(item, from)).collect())
        }
        (Type::Object(attributes), Type::Object(from)) => {
            Type::object(attributes.iter().map(|(name, attribute)| {
                let ty = match from.get(name) {
                    Some(from) => filled(&attribute.ty, &from.ty),
                    None => bare(&attribute.ty),
                };
                (name.clone(), ty)
            }))
        }
        _ => bare(ty),
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
