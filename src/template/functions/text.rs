//! More functions of text: cutting, replacing, patterns.

use regex::Regex;

use super::{Accepts, Failure, Function, param, text};
use crate::template::{Number, Type, Value};

const STRING: Accepts = Accepts::String;

/// A function from two texts to one text.
macro_rules! two {
    ($name:literal, $second:literal, $apply:expr) => {
        Function {
            name: $name,
            params: &[param("str", STRING), param($second, STRING)],
            rest: None,
            returns: || Type::String,
            call: |args, _| {
                let apply: fn(&str, &str) -> String = $apply;
                Ok(apply(text(&args[0]), text(&args[1])).into())
            },
        }
    };
}

/// A question about two texts.
macro_rules! test {
    ($name:literal, $second:literal, $apply:expr) => {
        Function {
            name: $name,
            params: &[param("str", STRING), param($second, STRING)],
            rest: None,
            returns: || Type::Bool,
            call: |args, _| {
                let apply: fn(&str, &str) -> bool = $apply;
                Ok(apply(text(&args[0]), text(&args[1])).into())
            },
        }
    };
}

pub(super) static FUNCTIONS: &[Function] = &[
    one!("chomp", |s| s.trim_end_matches(['\n', '\r']).to_owned()),
    one!("strrev", |s| s.chars().rev().collect()),
    one!("title", title),
    one!("trimspace", |s| s.trim().to_owned()),
    two!("trim", "cutset", |s, set| s.trim_matches(|c| set.contains(c)).to_owned()),
    two!("trimprefix", "prefix", |s, prefix| s.strip_prefix(prefix).unwrap_or(s).to_owned()),
    two!("trimsuffix", "suffix", |s, suffix| s.strip_suffix(suffix).unwrap_or(s).to_owned()),
    test!("startswith", "prefix", |s, prefix| s.starts_with(prefix)),
    test!("endswith", "suffix", |s, suffix| s.ends_with(suffix)),
    test!("strcontains", "substr", |s, part| s.contains(part)),
    Function {
        name: "indent",
        params: &[param("spaces", Accepts::Number), param("str", STRING)],
        rest: None,
        returns: || Type::String,
        call: |args, _| {
            let spaces = args[0].as_number().and_then(Number::as_usize);
            let Some(spaces) = spaces.filter(|&spaces| spaces <= 1024) else {
                return Err(Failure::argument(0, "a whole number up to 1024 is required"));
            };
            Ok(text(&args[1]).replace('\n', &format!("\n{}", " ".repeat(spaces))).into())
        },
    },
    Function {
        name: "regex",
        params: &[param("pattern", STRING), param("string", STRING)],
        rest: None,
        returns: || Type::Dynamic,
        call: |args, _| {
            let pattern = pattern(args, 0)?;
            match pattern.captures(text(&args[1])) {
                Some(found) => Ok(captured(&pattern, &found)),
                None => Err(Failure::argument(1, "the pattern matches nowhere in this text")),
            }
        },
    },
    Function {
        name: "regexall",
        params: &[param("pattern", STRING), param("string", STRING)],
        rest: None,
        returns: || Type::Dynamic,
        call: |args, _| {
            let pattern = pattern(args, 0)?;
            let found = pattern.captures_iter(text(&args[1]));
            let found: Vec<Value> = found.map(|found| captured(&pattern, &found)).collect();
            let ty = found.first().map_or(Type::String, Value::ty);
            Ok(Value::list(ty, found))
        },
    },
    Function {
        name: "regex_replace",
        params: &[param("str", STRING), param("pattern", STRING), param("replace", STRING)],
        rest: None,
        returns: || Type::String,
        call: |args, _| {
            let pattern = pattern(args, 1)?;
            Ok(pattern.replace_all(text(&args[0]), text(&args[2])).into_owned().into())
        },
    },
    Function {
        name: "replace",
        params: &[param("str", STRING), param("substr", STRING), param("replace", STRING)],
        rest: None,
        returns: || Type::String,
        call: |args, _| Ok(text(&args[0]).replace(text(&args[1]), text(&args[2])).into()),
    },
    Function {
        name: "substr",
        params: &[
            param("str", STRING),
            param("offset", Accepts::Number),
            param("length", Accepts::Number),
        ],
        rest: None,
        returns: || Type::String,
        call: |args, _| {
            let number = |index: usize| {
                let number = args[index].as_number().and_then(Number::as_i64);
                number.ok_or_else(|| Failure::argument(index, "a whole number is required"))
            };
            let letters: Vec<char> = text(&args[0]).chars().collect();
            let (offset, length) = (number(1)?, number(2)?);
            let count = letters.len() as i64;
            // A negative offset counts from the end; a negative length means all that is left.
            let start = if offset < 0 { (count + offset).max(0) } else { offset.min(count) };
            let end = if length < 0 { count } else { (start.saturating_add(length)).min(count) };
            Ok(letters[start as usize..end as usize].iter().collect::<String>().into())
        },
    },
];

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .flat_map(|c| {
            let upper = start && c.is_alphabetic();
            start = !(c.is_alphanumeric() || c == '_');
            if upper { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}

fn pattern(args: &[Value], index: usize) -> Result<Regex, Failure> {
    compile(text(&args[index]), index)
}

fn compile(pattern: &str, index: usize) -> Result<Regex, Failure> {
    Regex::new(pattern)
        .map_err(|error| Failure::argument(index, format!("the pattern is not valid: {error}")))
}

/// What a match gives: the text without groups, an object with named groups, else a tuple.
fn captured(pattern: &Regex, found: &regex::Captures) -> Value {
    let value = |group: Option<regex::Match>| match group {
        Some(group) => Value::from(group.as_str()),
        None => Value::null(Type::String),
    };
    let names: Vec<&str> = pattern.capture_names().flatten().collect();
    if !names.is_empty() {
        let named = names.iter().map(|&name| (name.to_owned(), value(found.name(name))));
        return Value::object(named.collect());
    }
    if pattern.captures_len() == 1 {
        return value(found.get(0));
    }
    Value::tuple((1..pattern.captures_len()).map(|index| value(found.get(index))).collect())
}
