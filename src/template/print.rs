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

/// In quotes, on one line, as `inspect` shows a value: the text of [`lines`], escaped. A value
/// that is not known in all its parts is not shown in part.
pub fn quoted(value: &Value) -> String {
    match value.is_wholly_known() {
        true => quote(&lines(value)),
        false => quote(UNKNOWN),
    }
}

/// A text in quotes, by Go's rules: only what cannot be seen is escaped.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", c as u32)),
            c if is_graphic(c) => quoted.push(c),
            c if (c as u32) < 0x10000 => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c => quoted.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a character leaves a mark on paper; the space does, other white space does not.
fn is_graphic(c: char) -> bool {
    // Rust escapes what cannot be seen, and marks that combine with what is before them.
    c == ' '
        || !c.escape_debug().to_string().starts_with("\\u")
        || !c.is_control() && c.is_alphanumeric()
}

/// Nothing that could be a secret.
fn is_blank(value: &Value) -> bool {
    match &value.kind {
        Kind::Null(_) => true,
        Kind::String(text) => text.is_empty(),
        _ => value.as_items().is_some_and(<[_]>::is_empty),
    }
}

fn write(value: &Value, depth: usize, bare: bool, text: &mut String) {
    if value.sensitive && !is_blank(value) {
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
        Kind::String(inner) => text.push_str(&quote(inner)),
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
            // Packer leaves out what is absent.
            for (name, item) in entries.iter().filter(|(_, item)| !item.is_null()) {
                text.push_str(&format!("{pad}{} = ", quote(name)));
                write(item, depth + 1, false, text);
                text.push('\n');
            }
            text.push_str(&format!("{end}}}"));
        }
    }
}
