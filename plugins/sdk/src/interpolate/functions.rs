//! Packer's functions, which it adds to Go's own.

use ingot_go_template::{Arguments, Output, case, text_of, time};
use serde_json::Value;

use super::COMPATIBLE_PACKER_VERSION;
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
    pub arguments: Arguments<'a>,
}

type Function = fn(&Call<'_>) -> Result<Output, String>;

/// A function's name, its fewest and most arguments (none: any number), and what it does.
type Entry = (&'static str, usize, Option<usize>, Function);

/// All functions.
const FUNCTIONS: &[Entry] = &[
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
    ("upper", 1, Some(1), |call| Ok(case::upper(call.text(0)?).into())),
    ("lower", 1, Some(1), |call| Ok(case::lower(call.text(0)?).into())),
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
    ("consul_key", 0, None, secret_store),
    ("vault", 0, None, secret_store),
    ("aws_secretsmanager", 0, None, secret_store),
    ("aws_secretsmanager_raw", 0, None, secret_store),
];

fn find(name: &str) -> Option<&'static Entry> {
    FUNCTIONS.iter().find(|entry| entry.0 == name)
}

/// Whether there is a function called `name`.
pub(super) fn is_known(name: &str) -> bool {
    find(name).is_some()
}

/// Runs a function.
pub(super) fn call(call: &Call<'_>) -> Result<Output, String> {
    // The parser lets no unknown name through.
    let Some((_, least, most, function)) = find(call.name) else {
        return Err("there is no such function".to_owned());
    };
    call.arguments.check_count(*least, *most)?;
    function(call)
}

impl Call<'_> {
    fn text(&self, index: usize) -> Result<&str, String> {
        self.arguments.text(index)
    }

    fn whole(&self, index: usize) -> Result<i64, String> {
        self.arguments.whole(index)
    }
}

fn known(text: &str, error: &str) -> Result<Output, String> {
    if text.is_empty() { Err(error.to_owned()) } else { Ok(text.into()) }
}

/// `{{ build "ID" }}`: what the builder learnt while it ran.
fn build(call: &Call<'_>) -> Result<Output, String> {
    let name = call.text(0)?;
    match call.data.get(name) {
        Some(value) if !value.is_null() => Ok(text_of(value).into()),
        _ => Err(format!("{name:?} is not known here; in HCL, write ${{build.{name}}} instead")),
    }
}

fn user(call: &Call<'_>) -> Result<Output, String> {
    let name = call.text(0)?;
    let found = call.context.user_variables.get(name);
    let variable = found.ok_or_else(|| {
        format!("there is no input variable {name:?} that is text; in HCL, write ${{var.{name}}}")
    })?;
    Ok(Output { value: variable.value.as_str().into(), secret: variable.sensitive })
}

fn env(call: &Call<'_>) -> Result<Output, String> {
    let name = call.text(0)?;
    Err(format!(
        "environment variables can only be read in the default of an input variable; write \
         default = env({name:?}) there and use the variable here"
    ))
}

/// The functions that read from stores of secrets. Packer has them only in the `variables` of JSON
/// templates.
fn secret_store(call: &Call<'_>) -> Result<Output, String> {
    let name = call.name;
    Err(format!(
        "it is not allowed in options; write a local whose value is {name}(…), in a JSON template a \
         variable whose value is {{{{ {name} … }}}}, and use that"
    ))
}

/// The start of the run, so that all options of all plugins agree.
fn now(call: &Call<'_>) -> ::time::OffsetDateTime {
    let start = call.context.start.unwrap_or_else(::time::OffsetDateTime::now_utc);
    start.to_offset(::time::UtcOffset::UTC)
}

fn isotime(call: &Call<'_>) -> Result<Output, String> {
    let layout = if call.arguments.0.is_empty() { time::RFC3339 } else { call.text(0)? };
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

fn pwd(_: &Call<'_>) -> Result<Output, String> {
    let directory = std::env::current_dir()
        .map_err(|error| format!("the current directory cannot be found: {error}"))?;
    Ok(directory.to_string_lossy().into())
}

fn template_dir(call: &Call<'_>) -> Result<Output, String> {
    let directory = &call.context.template_dir;
    // An empty path is the current directory; `absolute` would refuse it.
    let directory =
        if directory.as_os_str().is_empty() { std::path::Path::new(".") } else { directory };
    let absolute = std::path::absolute(directory)
        .map_err(|error| format!("the template's directory cannot be found: {error}"))?;
    Ok(absolute.to_string_lossy().into())
}

/// `split TEXT SEPARATOR N`: the part at N, counted from 0.
fn split(call: &Call<'_>) -> Result<Output, String> {
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
        .map(Output::from)
        .ok_or_else(|| {
            format!(
                "there is no part {wanted} of {text:?} split at {separator:?}; there are {}, \
                 from 0 on",
                parts.len()
            )
        })
}

/// `replace OLD NEW N TEXT`: replaces the first N; all when N is negative.
fn replace(call: &Call<'_>) -> Result<Output, String> {
    let (old, new, count, text) = (call.text(0)?, call.text(1)?, call.whole(2)?, call.text(3)?);
    Ok(match usize::try_from(count) {
        Ok(count) => text.replacen(old, new, count),
        Err(_) => text.replace(old, new),
    }
    .into())
}
