//! Types and values of go-cty, the type system of HCL in Go: what options and the values of data
//! sources are made of.

use std::collections::BTreeMap;
use std::io;

use ingot_sdk::config::OptionValue;
use rmpv::Value;
use serde_json::{Map, Value as Json, json};

use crate::message;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CtyType {
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// Any type.
    Dynamic,
    /// Values of one type.
    List(Box<CtyType>),
    /// Different values of one type.
    Set(Box<CtyType>),
    /// Values of one type by name.
    Map(Box<CtyType>),
    /// Values of different types.
    Tuple(Vec<CtyType>),
    /// Values of different types by name.
    Object(BTreeMap<String, CtyType>),
}

/// How deep types may nest.
const MAX_DEPTH: usize = 64;

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

impl CtyType {
    /// The type as go-cty writes it in JSON.
    pub fn to_json(&self) -> Json {
        match self {
            CtyType::Bool => json!("bool"),
            CtyType::Number => json!("number"),
            CtyType::String => json!("string"),
            CtyType::Dynamic => json!("dynamic"),
            CtyType::List(item) => json!(["list", item.to_json()]),
            CtyType::Set(item) => json!(["set", item.to_json()]),
            CtyType::Map(item) => json!(["map", item.to_json()]),
            CtyType::Tuple(items) => {
                json!(["tuple", items.iter().map(CtyType::to_json).collect::<Vec<_>>()])
            }
            CtyType::Object(attributes) => {
                let attributes: Map<String, Json> =
                    attributes.iter().map(|(name, ty)| (name.clone(), ty.to_json())).collect();
                json!(["object", attributes])
            }
        }
    }

    /// The type that go-cty wrote in JSON.
    ///
    /// # Errors
    /// It is not one.
    pub fn from_json(json: &Json) -> io::Result<CtyType> {
        CtyType::nested_from_json(json, 0)
    }

    fn nested_from_json(json: &Json, depth: usize) -> io::Result<CtyType> {
        let wrong = || invalid(format!("{json} is not a type"));
        if depth > MAX_DEPTH {
            return Err(invalid("a type nests too deep"));
        }
        let inner = |json: &Json| CtyType::nested_from_json(json, depth + 1);
        match json {
            Json::String(name) => match name.as_str() {
                "bool" => Ok(CtyType::Bool),
                "number" => Ok(CtyType::Number),
                "string" => Ok(CtyType::String),
                "dynamic" => Ok(CtyType::Dynamic),
                _ => Err(wrong()),
            },
            Json::Array(parts) => match (parts.first().and_then(Json::as_str), parts.get(1)) {
                (Some("list"), Some(item)) => Ok(CtyType::List(Box::new(inner(item)?))),
                (Some("set"), Some(item)) => Ok(CtyType::Set(Box::new(inner(item)?))),
                (Some("map"), Some(item)) => Ok(CtyType::Map(Box::new(inner(item)?))),
                (Some("tuple"), Some(Json::Array(items))) => {
                    Ok(CtyType::Tuple(items.iter().map(inner).collect::<Result<_, _>>()?))
                }
                (Some("object"), Some(Json::Object(attributes))) => Ok(CtyType::Object(
                    attributes
                        .iter()
                        .map(|(name, ty)| Ok((name.clone(), inner(ty)?)))
                        .collect::<io::Result<_>>()?,
                )),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }

    /// A value as one of this type, in the form of JSON that go-cty reads: strings where strings
    /// are wanted, every attribute of an object there. What only the run knows becomes what Packer
    /// shows plugins when it validates.
    ///
    /// # Errors
    /// The value does not fit.
    pub fn conform(&self, value: &OptionValue) -> Result<Json, String> {
        match (self, value) {
            (_, OptionValue::Null) => Ok(Json::Null),
            (_, OptionValue::Unknown) => Ok(self.placeholder()),
            (CtyType::Bool, OptionValue::Bool(truth)) => Ok(Json::Bool(*truth)),
            (CtyType::Number, OptionValue::Number(number)) => Ok(Json::Number(number.clone())),
            (CtyType::String, OptionValue::String(text) | OptionValue::Secret(text)) => {
                Ok(Json::from(text.as_str()))
            }
            (CtyType::Bool, OptionValue::String(text)) if text == "true" || text == "false" => {
                Ok(Json::Bool(text == "true"))
            }
            (CtyType::Number, OptionValue::String(text)) => match serde_json::from_str(text) {
                Ok(Json::Number(number)) => Ok(Json::Number(number)),
                _ => Err(format!("{text:?} is not a number")),
            },
            (CtyType::String, OptionValue::Bool(truth)) => Ok(Json::from(truth.to_string())),
            (CtyType::String, OptionValue::Number(number)) => Ok(Json::from(number.to_string())),
            (CtyType::List(item) | CtyType::Set(item), OptionValue::List(items)) => {
                items.iter().map(|value| item.conform(value)).collect::<Result<_, _>>()
            }
            (CtyType::Map(item), OptionValue::Map(entries)) => Ok(Json::Object(
                entries
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), item.conform(value)?)))
                    .collect::<Result<_, String>>()?,
            )),
            (CtyType::Tuple(types), OptionValue::List(items)) if types.len() == items.len() => {
                types
                    .iter()
                    .zip(items)
                    .map(|(ty, value)| ty.conform(value))
                    .collect::<Result<_, _>>()
            }
            (CtyType::Object(attributes), OptionValue::Map(entries)) => Ok(Json::Object(
                attributes
                    .iter()
                    .map(|(name, ty)| {
                        let value = entries.get(name).unwrap_or(&OptionValue::Null);
                        Ok((name.clone(), ty.conform(value)?))
                    })
                    .collect::<Result<_, String>>()?,
            )),
            (CtyType::Dynamic, _) => {
                let ty = type_of(value);
                Ok(json!({"value": ty.conform(value)?, "type": ty.to_json()}))
            }
            _ => Err(format!("a value of the type {} is needed", self.to_json())),
        }
    }

    /// What stands for a value of this type that only the run knows.
    fn placeholder(&self) -> Json {
        match self {
            CtyType::Bool => Json::Bool(false),
            CtyType::Number => Json::from(0),
            CtyType::String => Json::from(UNKNOWN),
            CtyType::Dynamic => json!({"value": UNKNOWN, "type": "string"}),
            CtyType::List(_) | CtyType::Set(_) => Json::Array(Vec::new()),
            CtyType::Map(_) => Json::Object(Map::new()),
            CtyType::Tuple(types) => types.iter().map(CtyType::placeholder).collect(),
            CtyType::Object(types) => Json::Object(
                types.iter().map(|(name, ty)| (name.clone(), ty.placeholder())).collect(),
            ),
        }
    }
}

/// A string that is not known until the build runs; Packer's text.
const UNKNOWN: &str = "<unknown>";

/// The type that a value has by itself.
fn type_of(value: &OptionValue) -> CtyType {
    match value {
        OptionValue::Null => CtyType::Dynamic,
        OptionValue::Bool(_) => CtyType::Bool,
        OptionValue::Number(_) => CtyType::Number,
        OptionValue::Unknown | OptionValue::String(_) | OptionValue::Secret(_) => CtyType::String,
        OptionValue::List(items) => CtyType::Tuple(items.iter().map(type_of).collect()),
        OptionValue::Map(entries) => CtyType::Object(
            entries.iter().map(|(name, value)| (name.clone(), type_of(value))).collect(),
        ),
    }
}

/// A value. Numbers keep all their digits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CtyValue {
    /// Not known yet.
    Unknown,
    /// Absent.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, in decimal digits.
    Number(String),
    /// A string.
    String(String),
    /// A list, set or tuple.
    List(Vec<CtyValue>),
    /// A map or an object.
    Map(BTreeMap<String, CtyValue>),
}

impl CtyValue {
    /// The value that go-cty wrote in MessagePack, along with its type.
    ///
    /// # Errors
    /// It is not one.
    pub(crate) fn from_message(bytes: &[u8]) -> io::Result<CtyValue> {
        CtyValue::of_type(&message::decode(bytes)?, &CtyType::Dynamic)
    }

    fn of_type(value: &Value, ty: &CtyType) -> io::Result<CtyValue> {
        let wrong = || invalid(format!("a value is not of the type {}", ty.to_json()));
        match (ty, value) {
            // Every extension is an unknown value; what else is known of it is of no use here.
            (_, Value::Ext(..)) => Ok(CtyValue::Unknown),
            (_, Value::Nil) => Ok(CtyValue::Null),
            (CtyType::Dynamic, Value::Array(pair)) if pair.len() == 2 => {
                let json = message::text(&pair[0]);
                let json =
                    serde_json::from_str(&json).map_err(|error| invalid(error.to_string()))?;
                CtyValue::of_type(&pair[1], &CtyType::from_json(&json)?)
            }
            (CtyType::Bool, Value::Boolean(truth)) => Ok(CtyValue::Bool(*truth)),
            (CtyType::Number, Value::Integer(number)) => Ok(CtyValue::Number(number.to_string())),
            (CtyType::Number, Value::F64(number)) => Ok(CtyValue::Number(number.to_string())),
            (CtyType::Number, Value::F32(number)) => Ok(CtyValue::Number(number.to_string())),
            (CtyType::Number, Value::String(_)) => Ok(CtyValue::Number(message::text(value))),
            (CtyType::String, Value::String(_) | Value::Binary(_)) => {
                Ok(CtyValue::String(message::text(value)))
            }
            (CtyType::List(item) | CtyType::Set(item), Value::Array(items)) => Ok(CtyValue::List(
                items
                    .iter()
                    .map(|value| CtyValue::of_type(value, item))
                    .collect::<Result<_, _>>()?,
            )),
            (CtyType::Tuple(types), Value::Array(items)) if types.len() == items.len() => {
                let items = items.iter().zip(types);
                Ok(CtyValue::List(
                    items
                        .map(|(value, ty)| CtyValue::of_type(value, ty))
                        .collect::<Result<_, _>>()?,
                ))
            }
            (CtyType::Map(item), Value::Map(entries)) => {
                let entries = entries.iter();
                let entries = entries
                    .map(|(key, value)| Ok((message::text(key), CtyValue::of_type(value, item)?)));
                Ok(CtyValue::Map(entries.collect::<io::Result<_>>()?))
            }
            (CtyType::Object(types), Value::Map(entries)) => {
                let entry = |(key, value): &(Value, Value)| {
                    let name = message::text(key);
                    let ty = types.get(&name).ok_or_else(wrong)?;
                    Ok((name, CtyValue::of_type(value, ty)?))
                };
                Ok(CtyValue::Map(entries.iter().map(entry).collect::<io::Result<_>>()?))
            }
            _ => Err(wrong()),
        }
    }

    /// The value as JSON. Unknown values are null: what a data source fetched has none that
    /// could be of use.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            CtyValue::Unknown | CtyValue::Null => Json::Null,
            CtyValue::Bool(truth) => Json::Bool(*truth),
            CtyValue::Number(digits) => match serde_json::from_str(digits) {
                Ok(Json::Number(number)) => Json::Number(number),
                _ => Json::from(digits.as_str()),
            },
            CtyValue::String(text) => Json::from(text.as_str()),
            CtyValue::List(items) => Json::Array(items.iter().map(CtyValue::to_json).collect()),
            CtyValue::Map(entries) => Json::Object(
                entries.iter().map(|(name, value)| (name.clone(), value.to_json())).collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::encode;

    fn ty() -> impl Strategy<Value = CtyType> {
        let leaf = prop_oneof![
            Just(CtyType::Bool),
            Just(CtyType::Number),
            Just(CtyType::String),
            Just(CtyType::Dynamic)
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                inner.clone().prop_map(|ty| CtyType::List(Box::new(ty))),
                inner.clone().prop_map(|ty| CtyType::Set(Box::new(ty))),
                inner.clone().prop_map(|ty| CtyType::Map(Box::new(ty))),
                prop::collection::vec(inner.clone(), 0..5).prop_map(CtyType::Tuple),
                prop::collection::btree_map("[a-z]{1,4}", inner, 0..5).prop_map(CtyType::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn types_come_back_from_json(ty in ty()) {
            prop_assert_eq!(CtyType::from_json(&ty.to_json()).unwrap(), ty);
        }

        #[test]
        fn rubbish_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = CtyValue::from_message(&bytes);
        }
    }

    #[test]
    fn values_are_read_with_their_types() {
        let ty = json!(["object", {"big": "number", "n": "number", "names": ["list", "string"], "later": "string"}]);
        let value = message::record([
            ("big", "123456789012345678901234567890".into()),
            ("n", 3.into()),
            ("names", Value::Array(vec!["a".into(), Value::Nil])),
            ("later", Value::Ext(0, vec![0])),
        ]);
        let bytes = encode(&Value::Array(vec![Value::Binary(ty.to_string().into_bytes()), value]));
        let CtyValue::Map(entries) = CtyValue::from_message(&bytes).unwrap() else { panic!() };
        assert_eq!(entries["big"], CtyValue::Number("123456789012345678901234567890".into()));
        assert_eq!(entries["n"].to_json(), json!(3));
        assert_eq!(entries["names"].to_json(), json!(["a", null]));
        assert_eq!(entries["later"], CtyValue::Unknown);
    }

    #[test]
    fn options_take_the_form_that_their_type_asks_for() {
        let ty = CtyType::Object(BTreeMap::from([
            ("absent".into(), CtyType::List(Box::new(CtyType::String))),
            ("any".into(), CtyType::Dynamic),
            ("port".into(), CtyType::Number),
            ("text".into(), CtyType::String),
        ]));
        let json = ty.conform(&json!({"port": "22", "text": 5, "any": [true]}).into()).unwrap();
        assert_eq!(
            json,
            json!({
                "absent": null, "port": 22, "text": "5",
                "any": {"value": [true], "type": ["tuple", ["bool"]]},
            })
        );
        assert!(ty.conform(&json!({"port": "many"}).into()).unwrap_err().contains("not a number"));
    }
}
