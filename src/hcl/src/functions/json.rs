//! `jsonencode` and `jsondecode`. Numbers keep all their digits, which a JSON library's own
//! values would not let them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{Accepts, Failure, Function, Returns, function, param, text};
use crate::{Kind, Number, Type, Value, surrogates};

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

/// How deep JSON and YAML may nest. Everything that walks a value recurses as deep, on stacks of
/// [`crate::parse::STACK_SIZE`]; documents that people write stay below 30.
pub(super) const MAX_NESTING: usize = 500;

fn from_text(json: &str) -> Result<Value, serde_json::Error> {
    let json = surrogates::replaced(json);
    let raw: &RawValue = serde_json::from_str(&json)?;
    if nests_too_deep(raw.get()) {
        let message = format!("more than {MAX_NESTING} levels are nested");
        return Err(serde::de::Error::custom(message));
    }
    from_raw(raw.get())
}

/// Whether valid JSON nests deeper than [`MAX_NESTING`].
fn nests_too_deep(json: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return true;
        }
    }
    false
}

/// The value of JSON that is valid and does not nest too deep.
fn from_raw(raw: &str) -> Result<Value, serde_json::Error> {
    Ok(match raw.as_bytes().first() {
        Some(b'{') => {
            let entries: BTreeMap<String, &RawValue> = serde_json::from_str(raw)?;
            let entries = entries.into_iter().map(|(name, inner)| {
                let name = Value::from(name).as_str().map(str::to_owned).unwrap_or_default();
                Ok((name, from_raw(inner.get())?))
            });
            Value::object(entries.collect::<Result<_, serde_json::Error>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw)?;
            let items = items.into_iter().map(|inner| from_raw(inner.get()));
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

#[cfg(test)]
mod tests {
    use super::{MAX_NESTING, from_text, to_text};
    use crate::parse::STACK_SIZE;

    #[test]
    fn half_a_character_is_replaced() {
        for text in [r#""a\ud83d\n\udc00b""#, r#"["\ud83d\ude00", "a\ud83d\\", "\ude00b"]"#] {
            let value = to_text(&from_text(text).unwrap());
            assert_eq!(value.matches('\u{fffd}').count(), 2, "{value}");
        }
    }

    fn nesting_is_bounded() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        for (open, close) in [("[", "]"), (r#"{"a[":"#, "}")] {
            let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            let error = from_text(&text).unwrap_err().to_string();
            assert_eq!(error, "more than 500 levels are nested");
        }
        assert!(from_text(&deep(MAX_NESTING)).is_ok());
        assert!(from_text(&deep(MAX_NESTING + 1)).is_err());
        // Brackets in strings do not count, nor those of neighbors.
        assert!(from_text(&format!(r#"["\"{}"]"#, "[".repeat(1000))).is_ok());
        assert!(from_text(&format!("[{}[]]", "[],".repeat(1000))).is_ok());
    }

    #[test]
    fn nesting_fits_the_stack_and_is_an_error_above_the_limit() {
        let thread = std::thread::Builder::new().stack_size(STACK_SIZE).spawn(nesting_is_bounded);
        thread.unwrap().join().unwrap();
    }
}
