//! Functions of text.

use super::{Accepts, Function, items, param, text};
use crate::template::{Type, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "join",
        params: &[param("separator", Accepts::String)],
        rest: Some(param("lists", Accepts::Strings)),
        returns: || Type::String,
        call: |args, _| {
            let words: Vec<&str> = args[1..].iter().flat_map(items).map(text).collect();
            Ok(words.join(text(&args[0])).into())
        },
    },
    Function {
        name: "lower",
        params: &[param("str", Accepts::String)],
        rest: None,
        returns: || Type::String,
        call: |args, _| Ok(text(&args[0]).to_lowercase().into()),
    },
    Function {
        name: "split",
        params: &[param("separator", Accepts::String), param("str", Accepts::String)],
        rest: None,
        returns: || Type::list(Type::String),
        call: |args, _| {
            let (separator, whole) = (text(&args[0]), text(&args[1]));
            if separator.is_empty() {
                return Ok(Value::strings(whole.chars().map(String::from)));
            }
            Ok(Value::strings(whole.split(separator)))
        },
    },
    Function {
        name: "upper",
        params: &[param("str", Accepts::String)],
        rest: None,
        returns: || Type::String,
        call: |args, _| Ok(text(&args[0]).to_uppercase().into()),
    },
];
