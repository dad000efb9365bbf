//! Values as people read them, secrets hidden.

use super::value::{Kind, Value};

const SECRET: &str = "<sensitive>";
const UNKNOWN: &str = "<unknown>";

/// As the console shows a value: texts bare, the rest as it would be written.
pub fn lines(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, true, &mut text);
    text
}

/// On one line.
pub fn inline(value: &Value) -> String {
    if let (Some(text), false) = (value.as_str(), value.sensitive) {
        return text.replace('\n', "\\n");
    }
    lines(value).split('\n').map(str::trim).collect::<Vec<_>>().join(" ")
}

fn write(value: &Value, depth: usize, bare: bool, text: &mut String) {
    if value.sensitive {
        text.push_str(SECRET);
        return;
    }
    let pad = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match &value.kind {
        Kind::Null(_) => text.push_str("null"),
        Kind::Unknown(_) => text.push_str(UNKNOWN),
        Kind::Bool(truth) => text.push_str(&truth.to_string()),
        Kind::Number(number) => text.push_str(&number.to_string()),
        Kind::String(inner) if bare => text.push_str(inner),
        Kind::String(inner) => text.push_str(&format!("{inner:?}")),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            if items.is_empty() {
                text.push_str("[]");
                return;
            }
            text.push_str("[\n");
            for item in items.iter() {
                text.push_str(&pad);
                write(item, depth + 1, false, text);
                text.push_str(",\n");
            }
            text.push_str(&format!("{end}]"));
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            if entries.is_empty() {
                text.push_str("{}");
                return;
            }
            text.push_str("{\n");
            for (name, item) in entries.iter() {
                text.push_str(&format!("{pad}{name:?} = "));
                write(item, depth + 1, false, text);
                text.push('\n');
            }
            text.push_str(&format!("{end}}}"));
        }
    }
}
