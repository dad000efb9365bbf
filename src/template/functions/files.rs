//! Functions of files, the environment and other formats.

use super::{Accepts, Failure, Function, FunctionContext, Outcome, param, text};
use crate::template::options::{from_json, to_json};
use crate::template::{Type, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "abspath",
        params: &[param("path", Accepts::String)],
        rest: None,
        returns: || Type::String,
        call: |args, _| match std::path::absolute(text(&args[0])) {
            Ok(path) => Ok(path.to_string_lossy().into_owned().into()),
            Err(error) => Err(Failure::argument(0, error.to_string())),
        },
    },
    Function {
        name: "basename",
        params: &[param("path", Accepts::String)],
        rest: None,
        returns: || Type::String,
        call: |args, _| {
            let path = text(&args[0]).trim_end_matches('/');
            Ok(match (path, text(&args[0])) {
                ("", "") => ".".into(),
                ("", _) => "/".into(),
                _ => path.rsplit('/').next().unwrap_or(path).into(),
            })
        },
    },
    Function {
        name: "env",
        params: &[param("key", Accepts::String)],
        rest: None,
        returns: || Type::String,
        call: |args, ctx| match ctx.env_allowed {
            true => Ok(std::env::var(text(&args[0])).unwrap_or_default().into()),
            false => Err(Failure::new("`env` can only be called in the default of a variable")),
        },
    },
    Function {
        name: "file",
        params: &[param("path", Accepts::String)],
        rest: None,
        returns: || Type::String,
        call: |args, ctx| {
            let path = resolve(text(&args[0]), ctx);
            std::fs::read_to_string(&path).map(Value::from).map_err(|error| {
                Failure::argument(0, format!("cannot read {}: {error}", path.display()))
            })
        },
    },
    Function {
        name: "fileexists",
        params: &[param("path", Accepts::String)],
        rest: None,
        returns: || Type::Bool,
        call: |args, ctx| Ok(resolve(text(&args[0]), ctx).is_file().into()),
    },
    Function {
        name: "jsondecode",
        params: &[param("str", Accepts::String)],
        rest: None,
        returns: || Type::Dynamic,
        call: |args, _| {
            serde_json::from_str(text(&args[0]))
                .map(|json: serde_json::Value| from_json(&json))
                .map_err(|error| Failure::argument(0, format!("this is not JSON: {error}")))
        },
    },
    Function {
        name: "jsonencode",
        params: &[param("val", Accepts::Any).or_null()],
        rest: None,
        returns: || Type::String,
        call: |args, _| {
            // As Go writes JSON: safe to stand in HTML.
            let json = to_json(&args[0]).to_string();
            let json = json.replace('<', "\\u003c").replace('>', "\\u003e");
            Ok(json.replace('&', "\\u0026").into())
        },
    },
    Function {
        name: "timestamp",
        params: &[],
        rest: None,
        returns: || Type::String,
        call: timestamp,
    },
    Function {
        name: "uuidv4",
        params: &[],
        rest: None,
        returns: || Type::String,
        call: |_, _| Ok(uuid::Uuid::new_v4().to_string().into()),
    },
];

fn resolve(path: &str, ctx: &FunctionContext) -> std::path::PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => std::path::Path::new(&home).join(rest),
        _ => ctx.base_dir.join(path),
    }
}

fn timestamp(_: &[Value], ctx: &FunctionContext) -> Outcome {
    let now = ctx.start.replace_nanosecond(0).unwrap_or(ctx.start);
    now.format(&time::format_description::well_known::Rfc3339)
        .map(Value::from)
        .map_err(|error| Failure::new(error.to_string()))
}
