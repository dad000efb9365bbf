//! Values as the console and `inspect` show them: Packer's form, secrets hidden.

use std::collections::BTreeMap;

use super::number::{Decimal, Number};
use super::quote::quote;
use super::value::{Kind, Value};

const SECRET: &str = "<sensitive>";
const UNKNOWN: &str = "<unknown>";

/// As the console shows a value: a text bare, the rest as it would be written, over several
/// lines. What is not known in all its parts is not shown at all.
pub fn lines(value: &Value) -> String {
    if !value.is_wholly_known() {
        return UNKNOWN.to_owned();
    }
    let mut text = String::new();
    write(value, 0, &mut text);
    text
}

/// The variables and locals among the names that all blocks see.
pub fn variables(names: &BTreeMap<String, Value>) -> String {
    let section = |title: &str, name: &str| {
        let values = names.get(name).and_then(Value::as_entries).into_iter().flatten();
        let lines: String =
            values.map(|(key, value)| format!("{name}.{key}: {}\n", quoted(value))).collect();
        format!("> {title}:\n\n{lines}")
    };
    let inputs = section("input-variables", "var");
    inputs + "\n" + &section("local-variables", "local")
}

/// In quotes, on one line, as `inspect` shows a value: the text of [`lines`], escaped.
pub fn quoted(value: &Value) -> String {
    quote(&lines(value))
}

/// Whole numbers of the machine's size in full, others as machine floats; what is too large for these as
/// it is.
fn number(number: &Number) -> String {
    if let Some(integer) = number.as_i64() {
        return integer.to_string();
    }
    let float = number.to_f64();
    let digits = match float.is_finite() {
        true => Decimal::of_f64(float),
        false => Decimal::shortest(number),
    };
    digits.general(None)
}

/// Nothing that could be a secret.
fn is_blank(value: &Value) -> bool {
    match &value.kind {
        Kind::Null(_) => true,
        Kind::String(text) => text.is_empty(),
        _ => value.as_items().is_some_and(<[_]>::is_empty),
    }
}

fn write(value: &Value, depth: usize, text: &mut String) {
    if value.sensitive && !is_blank(value) {
        let text_inside = depth > 0 && value.as_str().is_some();
        text.push_str(&if text_inside { quote(SECRET) } else { SECRET.to_owned() });
        return;
    }
    let pad = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match &value.kind {
        Kind::Null(_) => text.push_str("null"),
        Kind::Unknown(_) => text.push_str(UNKNOWN),
        Kind::Bool(truth) => text.push_str(&truth.to_string()),
        Kind::Number(inner) => text.push_str(&number(inner)),
        Kind::String(inner) if depth == 0 => text.push_str(inner),
        Kind::String(inner) => text.push_str(&quote(inner)),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            if items.is_empty() {
                text.push_str("[]");
                return;
            }
            text.push_str("[\n");
            for item in items.iter() {
                text.push_str(&pad);
                write(item, depth + 1, text);
                text.push_str(",\n");
            }
            text.push_str(&format!("{end}]"));
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            // What is null there is as good as not there.
            let mut entries = entries.iter().filter(|(_, item)| !item.is_null()).peekable();
            if entries.peek().is_none() {
                text.push_str("{}");
                return;
            }
            text.push_str("{\n");
            for (name, item) in entries {
                text.push_str(&format!("{pad}{} = ", quote(name)));
                write(item, depth + 1, text);
                text.push('\n');
            }
            text.push_str(&format!("{end}}}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_those_of_the_machine_are_shown() {
        let shown = |text: &str| lines(&Value::from(Number::parse(text).unwrap()));
        assert_eq!(shown("1e308"), "1e+308");
        assert_eq!(shown("1e400"), "1e+400");
        assert_eq!(shown("-2.5e400"), "-2.5e+400");
        let half = Number::parse("1.5e300").unwrap();
        let product = lines(&Value::from(half.mul(&half)));
        assert!(product.starts_with("2.2") && product.ends_with("e+600"), "{product}");
    }
}
