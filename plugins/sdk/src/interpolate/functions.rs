//! The functions of the template language.

use std::cmp::Ordering;

use serde_json::Value;

use super::value::{compare, equal, kind_of, text_of, truth};
use super::{COMPATIBLE_PACKER_VERSION, printf, time};
use crate::PrepareContext;

/// Functions that exist only in the options of plugins that add them, with
/// [`super::Interpolation::with_function`].
pub const ADDED_BY_PLUGINS: &[&str] = &["clean_resource_name"];

/// A function that is about to run.
pub(super) struct Call<'a> {
    pub name: &'a str,
    pub context: &'a PrepareContext,
    /// What `.` refers to outside of blocks.
    pub data: &'a Value,
    pub arguments: &'a [Value],
}

type Function = fn(&Call<'_>) -> Result<Value, String>;

/// A function's name, its fewest and most arguments (none: any number), and what it does.
type Entry = (&'static str, usize, Option<usize>, Function);

/// All functions. `and` and `or` are listed for their names; the evaluator runs them.
const FUNCTIONS: &[Entry] = &[
    // Go's own.
    ("and", 1, None, |call| Ok(call.last())),
    ("or", 1, None, |call| Ok(call.last())),
    ("not", 1, Some(1), |call| Ok((!truth(&call.arguments[0])).into())),
    ("eq", 2, None, eq),
    ("ne", 2, Some(2), |call| {
        equal(&call.arguments[0], &call.arguments[1]).map(|same| (!same).into())
    }),
    ("lt", 2, Some(2), |call| ordered(call, &[Ordering::Less])),
    ("le", 2, Some(2), |call| ordered(call, &[Ordering::Less, Ordering::Equal])),
    ("gt", 2, Some(2), |call| ordered(call, &[Ordering::Greater])),
    ("ge", 2, Some(2), |call| ordered(call, &[Ordering::Greater, Ordering::Equal])),
    ("len", 1, Some(1), len),
    ("index", 1, None, index),
    ("slice", 1, Some(4), slice),
    ("print", 0, None, |call| Ok(print(call.arguments).into())),
    ("println", 0, None, |call| Ok(format!("{}\n", texts(call.arguments).join(" ")).into())),
    ("printf", 1, None, |call| {
        printf::format(call.text(0)?, &call.arguments[1..]).map(Value::from)
    }),
    ("html", 0, None, |call| Ok(html(&print(call.arguments)).into())),
    ("js", 0, None, |call| Ok(javascript(&print(call.arguments)).into())),
    ("urlquery", 0, None, |call| Ok(url_query(&print(call.arguments)).into())),
    // Packer's.
    ("build_name", 0, Some(0), |call| {
        known(&call.context.build_name, "the build has no name here")
    }),
    ("build_type", 0, Some(0), |call| {
        known(&call.context.build_type, "the build has no type here")
    }),
    ("build", 1, Some(1), build),
    ("user", 1, Some(1), user),
    ("env", 1, Some(1), env),
    ("isotime", 0, Some(1), isotime),
    ("strftime", 1, Some(1), |call| Ok(time::strftime(now(call), call.text(0)?).into())),
    ("timestamp", 0, Some(0), |call| Ok(now(call).unix_timestamp().to_string().into())),
    ("uuid", 0, Some(0), |_| Ok(time_ordered_uuid().into())),
    ("pwd", 0, Some(0), pwd),
    ("template_dir", 0, Some(0), template_dir),
    ("packer_version", 0, Some(0), |_| Ok(COMPATIBLE_PACKER_VERSION.into())),
    ("split", 3, Some(3), split),
    ("upper", 1, Some(1), |call| Ok(call.text(0)?.to_uppercase().into())),
    ("lower", 1, Some(1), |call| Ok(call.text(0)?.to_lowercase().into())),
    ("replace", 4, Some(4), replace),
    ("replace_all", 3, Some(3), |call| {
        Ok(call.text(2)?.replace(call.text(0)?, call.text(1)?).into())
    }),
    ("sed", 0, None, |_| {
        Err("it was removed from the template language; use replace or replace_all".to_owned())
    }),
    ("clean_resource_name", 0, None, |_| {
        Err("it is only available in the options of builders for clouds, which know what a name \
             may look like"
            .to_owned())
    }),
    ("consul_key", 0, None, |_| Err(secret_store("Consul", "consul_key"))),
    ("vault", 0, None, |_| Err(secret_store("Vault", "vault"))),
    ("aws_secretsmanager", 0, None, |_| {
        Err(secret_store("AWS Secrets Manager", "aws_secretsmanager"))
    }),
    ("aws_secretsmanager_raw", 0, None, |_| {
        Err(secret_store("AWS Secrets Manager", "aws_secretsmanager_raw"))
    }),
];

fn find(name: &str) -> Option<&'static Entry> {
    FUNCTIONS.iter().find(|entry| entry.0 == name)
}

/// Whether there is a function called `name`.
pub(super) fn is_known(name: &str) -> bool {
    find(name).is_some()
}

/// Runs a function.
pub(super) fn call(call: &Call<'_>) -> Result<Value, String> {
    // The parser lets no unknown name through.
    let Some((_, least, most, function)) = find(call.name) else {
        return Err("there is no such function".to_owned());
    };
    let count = call.arguments.len();
    if count < *least || most.is_some_and(|most| count > most) {
        let takes = match most {
            Some(most) if most == least => format!("{least}"),
            Some(most) => format!("{least} to {most}"),
            None => format!("{least} or more"),
        };
        let plural = if takes == "1" { "argument" } else { "arguments" };
        return Err(format!("it takes {takes} {plural}, not {count}"));
    }
    function(call)
}

impl Call<'_> {
    /// The argument at `index`, which must be text. The table says that it is there.
    fn text(&self, index: usize) -> Result<&str, String> {
        match &self.arguments[index] {
            Value::String(text) => Ok(text),
            other => Err(format!("argument {} must be text, not {}", index + 1, kind_of(other))),
        }
    }

    /// The argument at `index`, which must be a whole number.
    fn whole(&self, index: usize) -> Result<i64, String> {
        let value = &self.arguments[index];
        value.as_i64().ok_or_else(|| {
            format!("argument {} must be a whole number, not {}", index + 1, kind_of(value))
        })
    }

    fn last(&self) -> Value {
        self.arguments.last().cloned().unwrap_or(Value::Null)
    }
}

fn eq(call: &Call<'_>) -> Result<Value, String> {
    let (first, others) = (&call.arguments[0], &call.arguments[1..]);
    for other in others {
        if equal(first, other)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn ordered(call: &Call<'_>, wanted: &[Ordering]) -> Result<Value, String> {
    let order = compare(&call.arguments[0], &call.arguments[1])?;
    Ok(order.is_some_and(|order| wanted.contains(&order)).into())
}

fn len(call: &Call<'_>) -> Result<Value, String> {
    match &call.arguments[0] {
        Value::String(text) => Ok(text.len().into()),
        Value::Array(items) => Ok(items.len().into()),
        Value::Object(fields) => Ok(fields.len().into()),
        other => Err(format!("{} has no length", kind_of(other))),
    }
}

fn index(call: &Call<'_>) -> Result<Value, String> {
    let mut current = call.arguments[0].clone();
    for position in 1..call.arguments.len() {
        let length = match &current {
            Value::Object(fields) => {
                current = fields.get(call.text(position)?).cloned().unwrap_or(Value::Null);
                continue;
            }
            Value::Array(items) => items.len(),
            Value::String(text) => text.len(),
            other => return Err(format!("{} cannot be indexed", kind_of(other))),
        };
        let wanted = call.whole(position)?;
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

fn slice(call: &Call<'_>) -> Result<Value, String> {
    let length = match &call.arguments[0] {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        other => return Err(format!("{} cannot be sliced", kind_of(other))),
    };
    let mut bounds = [0, length, length];
    for position in 1..call.arguments.len() {
        let bound = call.whole(position)?;
        bounds[position - 1] = usize::try_from(bound)
            .ok()
            .filter(|&bound| bound <= length)
            .ok_or_else(|| format!("{bound} is outside of 0 to {length}"))?;
    }
    let (from, to) = (bounds[0], bounds[1]);
    if from > to {
        return Err(format!("the start {from} is behind the end {to}"));
    }
    match &call.arguments[0] {
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

fn known(text: &str, complaint: &str) -> Result<Value, String> {
    if text.is_empty() { Err(complaint.to_owned()) } else { Ok(text.into()) }
}

/// `{{ build "ID" }}`: what the builder learnt while it ran.
fn build(call: &Call<'_>) -> Result<Value, String> {
    let name = call.text(0)?;
    match call.data.get(name) {
        Some(value) if !value.is_null() => Ok(text_of(value).into()),
        _ => Err(format!("{name:?} is not known here; in HCL, write ${{build.{name}}} instead")),
    }
}

fn user(call: &Call<'_>) -> Result<Value, String> {
    let name = call.text(0)?;
    let found = call.context.user_variables.get(name);
    found.map(|variable| variable.value.as_str().into()).ok_or_else(|| {
        format!("there is no input variable {name:?} that is text; in HCL, write ${{var.{name}}}")
    })
}

fn env(call: &Call<'_>) -> Result<Value, String> {
    let name = call.text(0)?;
    Err(format!(
        "environment variables can only be read in the default of an input variable; write \
         default = env({name:?}) there and use the variable here"
    ))
}

fn secret_store(store: &str, function: &str) -> String {
    format!(
        "reading secrets from {store} with {{{{ {function} }}}} is not supported; pass the secret \
         as a sensitive input variable, for example through PKR_VAR_name"
    )
}

/// The start of the run, so that all options of all plugins agree.
fn now(call: &Call<'_>) -> ::time::OffsetDateTime {
    let start = call.context.start.unwrap_or_else(::time::OffsetDateTime::now_utc);
    start.to_offset(::time::UtcOffset::UTC)
}

fn isotime(call: &Call<'_>) -> Result<Value, String> {
    let layout = if call.arguments.is_empty() { time::RFC3339 } else { call.text(0)? };
    Ok(time::format_go(now(call), layout).into())
}

/// A UUID that begins with the seconds since 1970 and is random behind them, so that the names
/// made from it sort by age. Each use gives a new one.
fn time_ordered_uuid() -> String {
    let mut bytes = *uuid::Uuid::new_v4().as_bytes();
    // Only the low 32 bits fit; they last until 2106.
    let seconds = ::time::OffsetDateTime::now_utc().unix_timestamp() as u32;
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    uuid::Uuid::from_bytes(bytes).to_string()
}

fn pwd(_: &Call<'_>) -> Result<Value, String> {
    let directory = std::env::current_dir()
        .map_err(|error| format!("the current directory cannot be found: {error}"))?;
    Ok(directory.to_string_lossy().into())
}

fn template_dir(call: &Call<'_>) -> Result<Value, String> {
    let directory = &call.context.template_dir;
    // An empty path is the current directory; `absolute` would refuse it.
    let directory =
        if directory.as_os_str().is_empty() { std::path::Path::new(".") } else { directory };
    let absolute = std::path::absolute(directory)
        .map_err(|error| format!("the template's directory cannot be found: {error}"))?;
    Ok(absolute.to_string_lossy().into())
}

/// `split TEXT SEPARATOR N`: the part at N, counted from 0.
fn split(call: &Call<'_>) -> Result<Value, String> {
    let (text, separator, wanted) = (call.text(0)?, call.text(1)?, call.whole(2)?);
    let parts: Vec<String> = if separator.is_empty() {
        text.chars().map(String::from).collect()
    } else {
        text.split(separator).map(str::to_owned).collect()
    };
    usize::try_from(wanted)
        .ok()
        .and_then(|wanted| parts.get(wanted))
        .cloned()
        .map(Value::from)
        .ok_or_else(|| {
            format!(
                "there is no part {wanted} of {text:?} split at {separator:?}; there are {}, \
                 from 0 on",
                parts.len()
            )
        })
}

/// `replace OLD NEW N TEXT`: replaces the first N; all when N is negative.
fn replace(call: &Call<'_>) -> Result<Value, String> {
    let (old, new, count, text) = (call.text(0)?, call.text(1)?, call.whole(2)?, call.text(3)?);
    Ok(match usize::try_from(count) {
        Ok(count) => text.replacen(old, new, count),
        Err(_) => text.replace(old, new),
    }
    .into())
}
