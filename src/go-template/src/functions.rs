//! Go's own functions of the language.

use std::cmp::Ordering;

use serde_json::Value;

use crate::environment::Arguments;
use crate::printf;
use crate::value::{compare, equal, kind_of, text_of, truth};

type Function = fn(Arguments<'_>) -> Result<Value, String>;

/// A function's name, its fewest and most arguments (none: any number), and what it does.
type Entry = (&'static str, usize, Option<usize>, Function);

/// All functions. `and` and `or` are listed for their names; the evaluator runs them.
const FUNCTIONS: &[Entry] = &[
    ("and", 1, None, last),
    ("or", 1, None, last),
    ("not", 1, Some(1), |arguments| Ok((!truth(&arguments.0[0])).into())),
    ("eq", 2, None, eq),
    ("ne", 2, Some(2), |arguments| {
        equal(&arguments.0[0], &arguments.0[1]).map(|same| (!same).into())
    }),
    ("lt", 2, Some(2), |arguments| ordered(arguments, &[Ordering::Less])),
    ("le", 2, Some(2), |arguments| ordered(arguments, &[Ordering::Less, Ordering::Equal])),
    ("gt", 2, Some(2), |arguments| ordered(arguments, &[Ordering::Greater])),
    ("ge", 2, Some(2), |arguments| ordered(arguments, &[Ordering::Greater, Ordering::Equal])),
    ("len", 1, Some(1), len),
    ("index", 1, None, index),
    ("slice", 1, Some(4), slice),
    ("print", 0, None, |arguments| Ok(print(arguments.0).into())),
    ("println", 0, None, |arguments| Ok(format!("{}\n", texts(arguments.0).join(" ")).into())),
    ("printf", 1, None, |arguments| {
        printf::format(arguments.text(0)?, &arguments.0[1..]).map(Value::from)
    }),
    ("html", 0, None, |arguments| Ok(html(&print(arguments.0)).into())),
    ("js", 0, None, |arguments| Ok(javascript(&print(arguments.0)).into())),
    ("urlquery", 0, None, |arguments| Ok(url_query(&print(arguments.0)).into())),
];

fn find(name: &str) -> Option<&'static Entry> {
    FUNCTIONS.iter().find(|entry| entry.0 == name)
}

/// Whether there is a function called `name`.
pub(crate) fn is_known(name: &str) -> bool {
    find(name).is_some()
}

/// Runs a function.
pub(crate) fn call(name: &str, arguments: Arguments<'_>) -> Result<Value, String> {
    // The parser lets no unknown name through.
    let Some((_, least, most, function)) = find(name) else {
        return Err("there is no such function".to_owned());
    };
    arguments.check_count(*least, *most)?;
    function(arguments)
}

fn last(arguments: Arguments<'_>) -> Result<Value, String> {
    Ok(arguments.0.last().cloned().unwrap_or(Value::Null))
}

fn eq(arguments: Arguments<'_>) -> Result<Value, String> {
    let (first, others) = (&arguments.0[0], &arguments.0[1..]);
    for other in others {
        if equal(first, other)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn ordered(arguments: Arguments<'_>, wanted: &[Ordering]) -> Result<Value, String> {
    let order = compare(&arguments.0[0], &arguments.0[1])?;
    Ok(order.is_some_and(|order| wanted.contains(&order)).into())
}

fn len(arguments: Arguments<'_>) -> Result<Value, String> {
    match &arguments.0[0] {
        Value::String(text) => Ok(text.len().into()),
        Value::Array(items) => Ok(items.len().into()),
        Value::Object(fields) => Ok(fields.len().into()),
        other => Err(format!("{} has no length", kind_of(other))),
    }
}

fn index(arguments: Arguments<'_>) -> Result<Value, String> {
    let mut current = arguments.0[0].clone();
    for position in 1..arguments.0.len() {
        let length = match &current {
            Value::Object(fields) => {
                current = fields.get(arguments.text(position)?).cloned().unwrap_or(Value::Null);
                continue;
            }
            Value::Array(items) => items.len(),
            Value::String(text) => text.len(),
            other => return Err(format!("{} cannot be indexed", kind_of(other))),
        };
        let wanted = arguments.whole(position)?;
        let wanted = usize::try_from(wanted)
            .ok()
            .filter(|&wanted| wanted < length)
            .ok_or_else(|| format!("there is no item {wanted}; there are {length}, from 0 on"))?;
        current = match current {
            Value::Array(mut items) => items.swap_remove(wanted),
            // As in Go, an item of a text is a byte.
            Value::String(text) => text.as_bytes()[wanted].into(),
            other => other,
        };
    }
    Ok(current)
}

fn slice(arguments: Arguments<'_>) -> Result<Value, String> {
    let length = match &arguments.0[0] {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        other => return Err(format!("{} cannot be sliced", kind_of(other))),
    };
    let mut bounds = [0, length, length];
    for position in 1..arguments.0.len() {
        let bound = arguments.whole(position)?;
        bounds[position - 1] = usize::try_from(bound)
            .ok()
            .filter(|&bound| bound <= length)
            .ok_or_else(|| format!("{bound} is outside of 0 to {length}"))?;
    }
    let (from, to) = (bounds[0], bounds[1]);
    if from > to {
        return Err(format!("the start {from} is behind the end {to}"));
    }
    match &arguments.0[0] {
        Value::Array(items) => Ok(items[from..to].to_vec().into()),
        Value::String(text) => text
            .get(from..to)
            .map(Value::from)
            .ok_or_else(|| format!("{from} to {to} cuts a character in two")),
        _ => Ok(Value::Null),
    }
}

fn texts(values: &[Value]) -> Vec<String> {
    values.iter().map(text_of).collect()
}

/// Joins values as Go's `Print`: with a space where neither neighbour is text.
fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 && !value.is_string() && !values[index - 1].is_string() {
            out.push(' ');
        }
        out.push_str(&text_of(value));
    }
    out
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn javascript(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => {
                out.push('\\');
                out.push(c);
            }
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
