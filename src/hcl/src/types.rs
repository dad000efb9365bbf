//! The types of values.

use std::collections::BTreeMap;
use std::fmt;

/// The type of a value, or what a type constraint asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Not known yet, or `any`.
    Dynamic,
    /// `bool`
    Bool,
    /// `number`
    Number,
    /// `string`
    String,
    /// `list(…)`
    List(Box<Type>),
    /// `set(…)`
    Set(Box<Type>),
    /// `map(…)`
    Map(Box<Type>),
    /// `tuple([…])`
    Tuple(Vec<Type>),
    /// `object({…})`
    Object(BTreeMap<String, AttributeType>),
}

/// The type of one attribute of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeType {
    /// Its type.
    pub ty: Type,
    /// Whether a value may lack it: `optional(…)`.
    pub optional: bool,
    /// What it is when a value lacks it, or has null there.
    pub default: Option<super::Value>,
}

impl AttributeType {
    /// An attribute that every value has.
    pub fn required(ty: Type) -> Self {
        AttributeType { ty, optional: false, default: None }
    }
}

impl Type {
    /// `list(item)`
    pub fn list(item: Type) -> Type {
        Type::List(Box::new(item))
    }

    /// `set(item)`
    pub fn set(item: Type) -> Type {
        Type::Set(Box::new(item))
    }

    /// `map(item)`
    pub fn map(item: Type) -> Type {
        Type::Map(Box::new(item))
    }

    /// An object of attributes that every value has.
    pub fn object<N: Into<String>>(attributes: impl IntoIterator<Item = (N, Type)>) -> Type {
        Type::Object(
            attributes
                .into_iter()
                .map(|(name, ty)| (name.into(), AttributeType::required(ty)))
                .collect(),
        )
    }

    /// Whether no part of it is open.
    pub fn is_concrete(&self) -> bool {
        match self {
            Type::Dynamic => false,
            Type::Bool | Type::Number | Type::String => true,
            Type::List(item) | Type::Set(item) | Type::Map(item) => item.is_concrete(),
            Type::Tuple(items) => items.iter().all(Type::is_concrete),
            Type::Object(attributes) => attributes.values().all(|a| a.ty.is_concrete()),
        }
    }

    /// A string, number or bool.
    pub fn is_primitive(&self) -> bool {
        matches!(self, Type::Bool | Type::Number | Type::String)
    }

    /// The same with an article: "a string", "an object".
    pub fn with_article(&self) -> String {
        let name = self.friendly();
        match name.starts_with(['a', 'e', 'i', 'o']) {
            true => format!("an {name}"),
            false => format!("a {name}"),
        }
    }

    /// What a person calls it in a sentence: "string", "list of strings", "object".
    pub fn friendly(&self) -> String {
        match self {
            Type::Dynamic => "dynamic".into(),
            Type::Bool => "bool".into(),
            Type::Number => "number".into(),
            Type::String => "string".into(),
            Type::List(item) => format!("list of {}", item.plural()),
            Type::Set(item) => format!("set of {}", item.plural()),
            Type::Map(item) => format!("map of {}", item.plural()),
            Type::Tuple(_) => "tuple".into(),
            Type::Object(_) => "object".into(),
        }
    }

    /// Several of them: "strings", "lists of strings".
    fn plural(&self) -> String {
        match self {
            Type::Dynamic => "any type".into(),
            Type::List(item) => format!("lists of {}", item.plural()),
            Type::Set(item) => format!("sets of {}", item.plural()),
            Type::Map(item) => format!("maps of {}", item.plural()),
            Type::Bool | Type::Number | Type::String | Type::Tuple(_) | Type::Object(_) => {
                format!("{}s", self.friendly())
            }
        }
    }
}

impl fmt::Display for Type {
    /// As a type constraint is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Dynamic => f.write_str("any"),
            Type::Bool => f.write_str("bool"),
            Type::Number => f.write_str("number"),
            Type::String => f.write_str("string"),
            Type::List(item) => write!(f, "list({item})"),
            Type::Set(item) => write!(f, "set({item})"),
            Type::Map(item) => write!(f, "map({item})"),
            Type::Tuple(items) => {
                let items: Vec<String> = items.iter().map(Type::to_string).collect();
                write!(f, "tuple([{}])", items.join(", "))
            }
            Type::Object(attributes) => {
                let attributes: Vec<String> = attributes
                    .iter()
                    .map(|(name, attribute)| match attribute.optional {
                        true => format!("{name}=optional({})", attribute.ty),
                        false => format!("{name}={}", attribute.ty),
                    })
                    .collect();
                write!(f, "object({{{}}})", attributes.join(", "))
            }
        }
    }
}
