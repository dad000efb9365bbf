//! JSON that is read as it comes, without keeping what is not asked for. No value is an error because
//! of its type: such files are written by many tools.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// Hands the fields of an object, one after the other, to a function, which has to read the value.
/// What is no object has no fields.
pub(crate) struct Fields<F>(pub F);

/// A value of an object that has to be read.
pub(crate) struct Field<'m, 'de, A: MapAccess<'de>> {
    access: &'m mut A,
    of: PhantomData<&'de ()>,
}

impl<'de, A: MapAccess<'de>> Field<'_, 'de, A> {
    /// Reads it.
    pub(crate) fn read<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.access.next_value_seed(seed)
    }

    /// Reads what it is.
    pub(crate) fn shape(self) -> Result<Shape, A::Error> {
        self.access.next_value()
    }

    /// Reads it as text: a string, or that of `name` or `type` in an object.
    pub(crate) fn text(self) -> Result<Option<String>, A::Error> {
        Ok(match self.shape()? {
            Shape::Text(text) => Some(text),
            Shape::Object(name) => name,
            _ => None,
        })
    }

    /// Passes it over.
    pub(crate) fn skip(self) -> Result<(), A::Error> {
        self.access.next_value::<IgnoredAny>().map(drop)
    }
}

/// What [`Fields`] calls with each field. A trait, as no closure can be generic.
pub(crate) trait OnField<'de> {
    /// Reads the value of the field called `name`.
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: String,
        value: Field<'_, 'de, A>,
    ) -> Result<(), A::Error>;
}

/// Reads one field of an object with `seed`, the first of that name, and passes the others over.
pub(crate) struct OnlyField<S> {
    name: &'static str,
    seed: Option<S>,
}

impl<S> OnlyField<S> {
    /// Reads the field called `name` with `seed`.
    pub(crate) fn new(name: &'static str, seed: S) -> Self {
        OnlyField { name, seed: Some(seed) }
    }
}

impl<'de, S: DeserializeSeed<'de>> OnField<'de> for OnlyField<S> {
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: String,
        value: Field<'_, 'de, A>,
    ) -> Result<(), A::Error> {
        match self.seed.take_if(|_| name == self.name) {
            Some(seed) => value.read(seed).map(drop),
            None => value.skip(),
        }
    }
}

impl<'de, F: OnField<'de>> DeserializeSeed<'de> for Fields<F> {
    type Value = F;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<F, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: OnField<'de>> Visitor<'de> for Fields<F> {
    type Value = F;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<F, A::Error> {
        while let Some(name) = access.next_key::<String>()? {
            self.0.field(name, Field { access: &mut access, of: PhantomData })?;
        }
        Ok(self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<F, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.0)
    }

    fn visit_bool<E>(self, _: bool) -> Result<F, E> {
        Ok(self.0)
    }

    fn visit_i64<E>(self, _: i64) -> Result<F, E> {
        Ok(self.0)
    }

    fn visit_u64<E>(self, _: u64) -> Result<F, E> {
        Ok(self.0)
    }

    fn visit_f64<E>(self, _: f64) -> Result<F, E> {
        Ok(self.0)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<F, E> {
        Ok(self.0)
    }

    fn visit_unit<E>(self) -> Result<F, E> {
        Ok(self.0)
    }
}

/// What a value is. Only texts are kept of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// There is no value.
    #[default]
    Missing,
    /// A string.
    Text(String),
    /// A list.
    List,
    /// An object, and the text of its `name` or `type`.
    Object(Option<String>),
    /// A number, a truth value or null.
    Other,
}

impl Shape {
    /// The text of a string that is not empty.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Shape::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

impl<'de> OnField<'de> for Option<String> {
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: String,
        value: Field<'_, 'de, A>,
    ) -> Result<(), A::Error> {
        match name.as_str() {
            "name" | "type" => *self = value.text()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Shape, A::Error> {
        Fields(None).visit_map(access).map(Shape::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Shape, A::Error> {
        Fields(None).visit_seq(items).map(|_| Shape::List)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Other)
    }
}

/// Reads a whole text.
///
/// # Errors
/// It is not JSON.
pub(crate) fn read<'de, F: OnField<'de>>(text: &'de [u8], fields: F) -> serde_json::Result<F> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let read = Fields(fields).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(read)
}
