//! The values that expressions stand for.

use std::collections::BTreeMap;
use std::sync::Arc;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::number::{Decimal, Number};
use super::quote::quote;
use super::types::{AttributeType, Type};

/// A value, and whether it is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Whether it must never be shown. Marks are kept at each level: an object can hold one
    /// secret attribute beside plain ones.
    pub sensitive: bool,
}

/// The forms of a value. Cloning is cheap: contents are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Absent, of a type.
    Null(Type),
    /// To be known when the build runs, of a type.
    Unknown(Type),
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(Arc<str>),
    /// Items of one type.
    List(Type, Arc<Vec<Value>>),
    /// Distinct items of one type, in the order HCL iterates them.
    Set(Type, Arc<Vec<Value>>),
    /// Values of one type by name.
    Map(Type, Arc<BTreeMap<String, Value>>),
    /// Items that each have their own type.
    Tuple(Arc<Vec<Value>>),
    /// Values by name that each have their own type.
    Object(Arc<BTreeMap<String, Value>>),
}

impl From<Kind> for Value {
    fn from(kind: Kind) -> Self {
        Value { kind, sensitive: false }
    }
}

impl From<&str> for Value {
    /// In Unicode's normal form C, as all strings of HCL, so that texts that look the same are.
    fn from(text: &str) -> Self {
        if is_nfc_quick(text.chars()) == IsNormalized::Yes {
            return Kind::String(text.into()).into();
        }
        Kind::String(text.nfc().collect::<String>().into()).into()
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Kind::Bool(value).into()
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        Kind::Number(number).into()
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Number::from(number).into()
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Number::from(number).into()
    }
}

impl Value {
    /// Null of a type.
    pub fn null(ty: Type) -> Value {
        Kind::Null(ty).into()
    }

    /// A value of a type that only the build will know.
    pub fn unknown(ty: Type) -> Value {
        Kind::Unknown(ty).into()
    }

    /// A list; `ty` is the type of its items.
    pub fn list(ty: Type, items: Vec<Value>) -> Value {
        Kind::List(ty, Arc::new(items)).into()
    }

    /// A list of strings.
    pub fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Value {
        Value::list(Type::String, items.into_iter().map(|item| item.into().into()).collect())
    }

    /// A set; equal items are kept once, the rest is put in order. A secret among its items makes
    /// the whole set a secret, as nobody can see which item it is.
    pub fn set(ty: Type, mut items: Vec<Value>) -> Value {
        let secret = items.iter().any(Value::holds_secret);
        if secret {
            items = items.iter().map(|item| item.unmark().0).collect();
        }
        items.sort_by(Value::order);
        items.dedup_by(|a, b| a.plain_eq(b) && a.is_wholly_known());
        Value::from(Kind::Set(ty, Arc::new(items))).mark(secret)
    }

    /// A map; `ty` is the type of its values.
    pub fn map(ty: Type, items: BTreeMap<String, Value>) -> Value {
        Kind::Map(ty, Arc::new(items)).into()
    }

    /// A tuple.
    pub fn tuple(items: Vec<Value>) -> Value {
        Kind::Tuple(Arc::new(items)).into()
    }

    /// An object.
    pub fn object(attributes: BTreeMap<String, Value>) -> Value {
        Kind::Object(Arc::new(attributes)).into()
    }

    /// Marks the value as a secret if `sensitive`; never takes a mark away.
    pub fn mark(mut self, sensitive: bool) -> Value {
        self.sensitive |= sensitive;
        self
    }

    /// The value's type.
    pub fn ty(&self) -> Type {
        match &self.kind {
            Kind::Null(ty) | Kind::Unknown(ty) => ty.clone(),
            Kind::Bool(_) => Type::Bool,
            Kind::Number(_) => Type::Number,
            Kind::String(_) => Type::String,
            Kind::List(ty, _) => Type::list(ty.clone()),
            Kind::Set(ty, _) => Type::set(ty.clone()),
            Kind::Map(ty, _) => Type::map(ty.clone()),
            Kind::Tuple(items) => Type::Tuple(items.iter().map(Value::ty).collect()),
            Kind::Object(attributes) => Type::Object(
                attributes
                    .iter()
                    .map(|(name, value)| (name.clone(), AttributeType::required(value.ty())))
                    .collect(),
            ),
        }
    }

    /// Null.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null(_))
    }

    /// Unknown itself; its parts are another matter.
    pub fn is_unknown(&self) -> bool {
        matches!(self.kind, Kind::Unknown(_))
    }

    /// Known in all its parts.
    pub fn is_wholly_known(&self) -> bool {
        !self.is_unknown() && self.children().all(Value::is_wholly_known)
    }

    /// A secret, or with a secret among its parts.
    pub fn holds_secret(&self) -> bool {
        self.sensitive || self.children().any(Value::holds_secret)
    }

    /// The values directly inside.
    pub fn children(&self) -> Box<dyn Iterator<Item = &Value> + '_> {
        match &self.kind {
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
                Box::new(items.iter())
            }
            Kind::Map(_, items) | Kind::Object(items) => Box::new(items.values()),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth of a bool.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind {
            Kind::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The number of a number.
    pub fn as_number(&self) -> Option<&Number> {
        match &self.kind {
            Kind::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The items of a list, set or tuple.
    pub fn as_items(&self) -> Option<&[Value]> {
        match &self.kind {
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a map or object.
    pub fn as_entries(&self) -> Option<&BTreeMap<String, Value>> {
        match &self.kind {
            Kind::Map(_, entries) | Kind::Object(entries) => Some(entries),
            _ => None,
        }
    }

    /// What iterating the value yields, as keys and values; none if it cannot be iterated.
    pub fn iterate(&self) -> Option<Vec<(Value, Value)>> {
        let with_mark = |value: &Value| value.clone().mark(self.sensitive);
        Some(match &self.kind {
            Kind::List(_, items) | Kind::Tuple(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (Value::from(index), with_mark(item)))
                .collect(),
            Kind::Set(_, items) => {
                items.iter().map(|item| (with_mark(item), with_mark(item))).collect()
            }
            Kind::Map(_, entries) | Kind::Object(entries) => entries
                .iter()
                .map(|(name, value)| {
                    (Value::from(name.as_str()).mark(self.sensitive), with_mark(value))
                })
                .collect(),
            _ => return None,
        })
    }

    /// The value without any mark, and whether there was one.
    pub fn unmark(&self) -> (Value, bool) {
        if !self.holds_secret() {
            return (self.clone(), false);
        }
        let bare = |value: &Value| value.unmark().0;
        let items = |items: &[Value]| Arc::new(items.iter().map(bare).collect::<Vec<_>>());
        let entries = |entries: &BTreeMap<String, Value>| {
            Arc::new(entries.iter().map(|(name, value)| (name.clone(), bare(value))).collect())
        };
        let kind = match &self.kind {
            Kind::List(ty, inner) => Kind::List(ty.clone(), items(inner)),
            Kind::Set(ty, inner) => Kind::Set(ty.clone(), items(inner)),
            Kind::Tuple(inner) => Kind::Tuple(items(inner)),
            Kind::Map(ty, inner) => Kind::Map(ty.clone(), entries(inner)),
            Kind::Object(inner) => Kind::Object(entries(inner)),
            other => other.clone(),
        };
        (kind.into(), true)
    }

    /// The same with what is secret replaced by what says only where it comes from: `name`, such as
    /// `<var.token>`, for a text. Marks, names of attributes and the form stay, so that expressions
    /// can be evaluated with it.
    pub fn concealed(&self, name: &str) -> Value {
        self.concealed_in(name, false)
    }

    fn concealed_in(&self, name: &str, inside_secret: bool) -> Value {
        if !inside_secret && !self.holds_secret() {
            return self.clone();
        }
        let secret = inside_secret || self.sensitive;
        let each = |value: &Value| value.concealed_in(name, secret);
        let items = |items: &[Value]| Arc::new(items.iter().map(each).collect::<Vec<_>>());
        let entries = |entries: &BTreeMap<String, Value>| {
            Arc::new(entries.iter().map(|(name, value)| (name.clone(), each(value))).collect())
        };
        let kind = match &self.kind {
            Kind::String(_) if secret => Kind::String(name.into()),
            Kind::Number(_) if secret => Kind::Number(0_i64.into()),
            Kind::Bool(_) if secret => Kind::Bool(false),
            Kind::List(ty, inner) => Kind::List(ty.clone(), items(inner)),
            Kind::Set(ty, inner) => Kind::Set(ty.clone(), items(inner)),
            Kind::Tuple(inner) => Kind::Tuple(items(inner)),
            Kind::Map(ty, inner) => Kind::Map(ty.clone(), entries(inner)),
            Kind::Object(inner) => Kind::Object(entries(inner)),
            other => other.clone(),
        };
        Value { kind, sensitive: self.sensitive }
    }

    /// Equality that ignores marks.
    pub fn plain_eq(&self, other: &Value) -> bool {
        if !self.holds_secret() && !other.holds_secret() {
            return self.kind == other.kind;
        }
        self.unmark().0.kind == other.unmark().0.kind
    }

    /// The order of a set's items: by value for strings and numbers, false before true, null and
    /// what is not known at the end, and by how cty writes them down for the rest.
    pub fn order(a: &Value, b: &Value) -> std::cmp::Ordering {
        let last = |value: &Value| (value.is_null(), value.is_unknown());
        last(a).cmp(&last(b)).then_with(|| match (&a.kind, &b.kind) {
            (Kind::String(a), Kind::String(b)) => a.cmp(b),
            (Kind::Number(a), Kind::Number(b)) => a.cmp(b),
            (Kind::Bool(a), Kind::Bool(b)) => a.cmp(b),
            _ => {
                let written = |value: &Value| {
                    let mut text = String::new();
                    value.write_sort_key(&mut text);
                    text
                };
                written(a).cmp(&written(b))
            }
        })
    }

    /// What cty orders the items of a set by when they are no plain values.
    fn write_sort_key(&self, text: &mut String) {
        match &self.kind {
            Kind::Unknown(_) => text.push('?'),
            Kind::Null(_) => text.push('~'),
            Kind::Bool(truth) => text.push(if *truth { 'T' } else { 'F' }),
            Kind::Number(number) => text.push_str(&Decimal::exact(number).general(Some(10))),
            Kind::String(inner) => text.push_str(&quote(inner)),
            Kind::List(_, items) | Kind::Set(_, items) => {
                write_sort_keys(items.iter(), ['[', ']'], text);
            }
            Kind::Tuple(items) => write_sort_keys(items.iter(), ['<', '>'], text),
            Kind::Object(entries) => write_sort_keys(entries.values(), ['<', '>'], text),
            Kind::Map(_, entries) => {
                text.push('{');
                for (name, value) in entries.iter() {
                    text.push_str(&quote(name));
                    text.push(':');
                    value.write_sort_key(text);
                    text.push(';');
                }
                text.push('}');
            }
        }
    }

    /// Every string and number in it that is a secret, for masking output.
    pub fn secrets(&self, found: &mut Vec<String>) {
        self.collect_secrets(false, found);
    }

    fn collect_secrets(&self, inside_secret: bool, found: &mut Vec<String>) {
        let secret = self.sensitive || inside_secret;
        match &self.kind {
            Kind::String(text) if secret => found.push(text.to_string()),
            Kind::Number(number) if secret => found.push(number.to_string()),
            _ => self.children().for_each(|child| child.collect_secrets(secret, found)),
        }
    }
}

fn write_sort_keys<'a>(
    items: impl Iterator<Item = &'a Value>,
    [open, close]: [char; 2],
    text: &mut String,
) {
    text.push(open);
    for item in items {
        item.write_sort_key(text);
        text.push(';');
    }
    text.push(close);
}
