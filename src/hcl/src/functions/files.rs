//! Functions of files, paths and the environment. Paths are relative to the template's directory
//! where a file is read; where a path is only a text, to the directory that Ingot runs in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ingot_go_template::clean_path;

use super::{
    Accepts, Failure, Function, FunctionContext, Outcome, Param, Returns, function, glob, param,
    text,
};
use crate::ast::{Expr, ExprKind};
use crate::parse::parse_template;
use crate::source::{LARGEST_TEXT, SourceMap};
use crate::{Scope, Type, Value, eval};

const STRING: Accepts = Accepts::String;

/// The largest file that `filebase64` reads, in bytes.
const LARGEST_BINARY: u64 = 256 << 20;

/// A function of one path.
const fn of_path(
    name: &'static str,
    returns: Returns,
    call: fn(&[Value], &FunctionContext) -> Outcome,
) -> Function {
    const PARAMS: &[Param] = &[param("path", STRING)];
    function(name, PARAMS, returns, call)
}

pub(super) static FUNCTIONS: &[Function] = &[
    of_path("abspath", Returns::String, |args, _| {
        let cwd = std::env::current_dir().map_err(|error| Failure::new(error.to_string()))?;
        Ok(clean_path(&join(&cwd, text(&args[0]))).into())
    }),
    of_path("basename", Returns::String, |args, _| {
        let path = text(&args[0]).trim_end_matches('/');
        Ok(match (path, text(&args[0])) {
            ("", "") => ".".into(),
            ("", _) => "/".into(),
            _ => path.rsplit('/').next().unwrap_or(path).into(),
        })
    }),
    of_path("dirname", Returns::String, |args, _| {
        let path = text(&args[0]);
        let directory = path.rfind('/').map_or("", |slash| &path[..=slash]);
        Ok(clean_path(directory).into())
    }),
    function("env", &[param("key", STRING)], Returns::String, |args, ctx| match ctx.env_allowed {
        true => Ok(std::env::var(text(&args[0])).unwrap_or_default().into()),
        false => Err(Failure::new("`env` can only be called in the default of a variable")),
    }),
    of_path("file", Returns::String, |args, ctx| read(args, ctx).map(Value::from)),
    of_path("filebase64", Returns::String, |args, ctx| {
        let content = read_file(Path::new(text(&args[0])), LARGEST_BINARY, ctx)?;
        Ok(BASE64_STANDARD.encode(content).into())
    }),
    of_path("fileexists", Returns::Bool, |args, ctx| {
        let path = resolve(args, ctx)?;
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => Ok(true.into()),
            Ok(_) => Err(Failure::argument(0, format!("{} is not a file", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false.into()),
            Err(error) => Err(Failure::argument(0, format!("{}: {error}", path.display()))),
        }
    }),
    function(
        "fileset",
        &[param("path", STRING), param("pattern", STRING)],
        Returns::By(|_| Type::set(Type::String)),
        |args, ctx| {
            let directory = clean_path(&join(&ctx.base_dir, text(&args[0])));
            let found = glob::files(&directory, text(&args[1]))
                .map_err(|message| Failure::argument(1, message))?;
            Ok(Value::set(Type::String, found.into_iter().map(Value::from).collect()))
        },
    ),
    of_path("pathexpand", Returns::String, |args, _| {
        Ok(expand(text(&args[0]))?.to_string_lossy().into_owned().into())
    }),
    function(
        "templatefile",
        &[param("path", STRING), param("vars", Accepts::Any).in_parts()],
        Returns::Any,
        template_file,
    ),
];

/// A path below a directory, unless it is absolute.
fn join(directory: &Path, path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", directory.to_string_lossy()),
    }
}

/// A path with the user's home directory for a leading `~`.
fn expand(path: &str) -> Result<PathBuf, Failure> {
    let Some(rest) = path.strip_prefix('~') else { return Ok(path.into()) };
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err(Failure::argument(0, "the home directories of other users are not known"));
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.ok_or_else(|| Failure::argument(0, "HOME is not set, so ~ is unknown"))?;
    Ok(match rest.trim_start_matches('/') {
        "" => home.into(),
        rest => Path::new(&home).join(rest),
    })
}

/// Where the file of the first argument is.
fn resolve(args: &[Value], ctx: &FunctionContext) -> Result<PathBuf, Failure> {
    Ok(ctx.base_dir.join(expand(text(&args[0]))?))
}

/// The bytes of a file, at most `most`: what never ends is an error and not the end of memory.
fn read_file(path: &Path, most: u64, ctx: &FunctionContext) -> Result<Vec<u8>, Failure> {
    ctx.pipes
        .read(path, most)
        .map_err(|error| Failure::argument(0, format!("cannot read {}: {error}", path.display())))
}

fn read(args: &[Value], ctx: &FunctionContext) -> Result<String, Failure> {
    let path = resolve(args, ctx)?;
    let content = read_file(&path, LARGEST_TEXT, ctx)?;
    String::from_utf8(content).map_err(|_| {
        let path = path.display();
        Failure::argument(0, format!("{path} is not a text in UTF-8; filebase64(…) reads any file"))
    })
}

fn template_file(args: &[Value], ctx: &FunctionContext) -> Outcome {
    let Some(vars) = args[1].as_entries() else {
        return Err(Failure::argument(1, "an object or map of values is required"));
    };
    if let Some(name) = vars.keys().find(|name| !is_identifier(name)) {
        return Err(Failure::argument(
            1,
            format!("{name:?} is not a name that a template can use"),
        ));
    }
    let mut sources = SourceMap::default();
    let file = sources.add(text(&args[0]), read(args, ctx)?);
    let evaluate = || {
        let template = parse_template(&sources, file)?;
        refuse_recursion(&template)?;
        let vars: BTreeMap<String, Value> = vars.clone();
        eval(&template, &Scope::new(vars, ctx))
    };
    evaluate().map_err(|error| {
        let place = error.span.map(|span| sources.position(span));
        let place = place.map_or(String::new(), |(line, column)| format!(":{line}:{column}"));
        let mut message = format!("{}{place}: {}", text(&args[0]), error.message);
        for detail in [error.label.as_str()].into_iter().chain(error.notes.iter().map(|n| &**n)) {
            if !detail.is_empty() {
                message.push_str(&format!("; {detail}"));
            }
        }
        Failure::argument(0, message)
    })
}

/// Templates that render templates could go on for ever.
fn refuse_recursion(template: &Expr) -> Result<(), crate::diagnostic::Diagnostic> {
    let mut found = None;
    template.walk(&mut |expr| {
        if matches!(&expr.kind, ExprKind::Call { name, .. } if name == "templatefile") {
            found = Some(expr.span);
        }
    });
    match found {
        None => Ok(()),
        Some(span) => Err(crate::diagnostic::Diagnostic::error(
            "`templatefile` cannot be called from within a template file",
        )
        .at(span)),
    }
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && letters.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}
