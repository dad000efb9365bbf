//! `jsonencode` and `jsondecode`. Numbers keep all their digits, which a JSON library's own
//! values would not let them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{Accepts, Failure, Function, Returns, function, param, text};
use crate::{Kind, Number, Type, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    function("jsondecode", &[param("str", Accepts::String)], Returns::Any, |args, _| {
        from_text(text(&args[0]))
            .map_err(|error| Failure::argument(0, format!("this is not JSON: {error}")))
    }),
    function("jsonencode", &[param("val", Accepts::Any).or_null()], Returns::String, |args, _| {
        Ok(to_text(&args[0]).into())
    }),
];

/// A known value as JSON, as `jsonencode` writes it.
pub fn to_text(value: &Value) -> String {
    let mut json = String::new();
    write(value, &mut json);
    json
}

fn write(value: &Value, json: &mut String) {
    match &value.kind {
        Kind::Null(_) | Kind::Unknown(_) => json.push_str("null"),
        Kind::Bool(truth) => json.push_str(&truth.to_string()),
        Kind::Number(number) => json.push_str(&number.to_string()),
        Kind::String(text) => write_string(text, json),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            json.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                write(item, json);
            }
            json.push(']');
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            json.push('{');
            for (index, (name, item)) in entries.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                write_string(name, json);
                json.push(':');
                write(item, json);
            }
            json.push('}');
        }
    }
}

/// As Go writes strings: safe to stand in HTML and JavaScript.
fn write_string(text: &str, json: &mut String) {
    for c in serde_json::Value::from(text).to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                json.push_str(&format!("\\u{:04x}", c as u32));
            }
            _ => json.push(c),
        }
    }
}

fn from_text(json: &str) -> Result<Value, serde_json::Error> {
    let raw: &RawValue = serde_json::from_str(json)?;
    let raw = raw.get();
    Ok(match raw.as_bytes().first() {
        Some(b'{') => {
            let entries: BTreeMap<String, &RawValue> = serde_json::from_str(raw)?;
            let entries = entries.into_iter().map(|(name, inner)| {
                let name = Value::from(name).as_str().map(str::to_owned).unwrap_or_default();
                Ok((name, from_text(inner.get())?))
            });
            Value::object(entries.collect::<Result<_, serde_json::Error>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw)?;
            let items = items.into_iter().map(|inner| from_text(inner.get()));
            Value::tuple(items.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::from(serde_json::from_str::<String>(raw)?),
        Some(b't') => true.into(),
        Some(b'f') => false.into(),
        Some(b'n') => Value::null(Type::Dynamic),
        _ => match Number::parse(raw) {
            Some(number) => number.into(),
            None => return Err(serde::de::Error::custom("a number is too large")),
        },
    })
}
