//! `yamldecode` and `yamlencode`.

mod decode;
mod encode;

use crate::Value;

use decode::Repeated;

use super::{Accepts, Failure, Function, Returns, function, param, text};

/// The value that a document of YAML stands for, as `yamldecode` reads it, but without keys that a
/// mapping has twice: of those `yamldecode` takes the last. What `<<` merges replaces no key that
/// is written out.
///
/// # Errors
/// What is wrong, with its line.
pub fn yaml_value(document: &str) -> Result<Value, String> {
    decode::decode(document, Repeated::Refused)
}

pub(super) static FUNCTIONS: &[Function] = &[
    function("yamldecode", &[param("src", Accepts::String)], Returns::Any, |args, _| {
        decode::decode(text(&args[0]), Repeated::LastCounts)
            .map_err(|error| Failure::argument(0, format!("this is not YAML: {error}")))
    }),
    function(
        "yamlencode",
        &[param("value", Accepts::Any).or_null()],
        Returns::String,
        |args, _| Ok(encode::encode(&args[0]).into()),
    ),
];
