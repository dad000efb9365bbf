//! How values print, compare and decide conditions: as in Go.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// What Go prints for what has no value.
pub const NO_VALUE: &str = "<no value>";

/// Whether a condition holds for `value`: it is neither zero, empty nor absent.
pub(crate) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// `value` as Go's `%v` prints it.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number_text(number),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(text_of).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            let fields: Vec<String> =
                names.iter().map(|name| format!("{name}:{}", text_of(&fields[*name]))).collect();
            format!("map[{}]", fields.join(" "))
        }
    }
}

/// A number as Go prints it: the shortest form, for fractions with an exponent from a million on.
fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float_text(float),
        _ => number.to_string(),
    }
}

fn float_text(float: f64) -> String {
    // Rust's `e` form has the shortest digits that read back as the same number.
    let scientific = format!("{float:e}");
    let exponent: i32 =
        scientific.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    if (-4..6).contains(&exponent) { float.to_string() } else { go_exponent(&scientific) }
}

/// Rewrites the exponent of `1e7` with a sign and two digits, as Go does: `1e+07`.
pub(crate) fn go_exponent(scientific: &str) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific.to_owned();
    };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// About how many bytes a copy of `value` takes.
pub(crate) fn size_of(value: &Value) -> u64 {
    let item = std::mem::size_of::<Value>() as u64;
    match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(|inner| item + size_of(inner)).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, inner)| item + name.len() as u64 + size_of(inner)).sum()
        }
        _ => 0,
    }
}

/// What `value` is, for messages.
pub(crate) fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => format!("the truth value {flag}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

/// Whether two values are equal. As in Go, only simple values of one kind can be compared, and
/// whole numbers are of another kind than fractions.
pub(crate) fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    match (left, right) {
        (Value::Null, other) | (other, Value::Null) => Ok(other.is_null()),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        _ => compare(left, right).map(|order| order == Some(Ordering::Equal)),
    }
}

/// How two numbers or two texts are ordered; none when one is not a number (NaN).
pub(crate) fn compare(left: &Value, right: &Value) -> Result<Option<Ordering>, String> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Ok(Some(left.cmp(right))),
        (Value::Number(left), Value::Number(right)) if left.is_f64() == right.is_f64() => {
            Ok(match (whole(left), whole(right)) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => left.as_f64().partial_cmp(&right.as_f64()),
            })
        }
        _ => Err(format!("cannot compare {} with {}", kind_of(left), kind_of(right))),
    }
}

/// A whole number in a type that holds all of them.
fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}
