//! The functions that expressions can call, one file per family.
//!
//! [`call`] does what all functions have in common: counting and converting arguments, refusing
//! null, standing aside for unknown values, and keeping results of secrets secret. A function
//! itself sees plain, known values of the types it declares, unless its parameters say otherwise.

mod collection;
mod csv;
mod date;
mod encoding;
mod files;
mod format;
mod glob;
mod hash;
mod json;
mod list;
mod map;
mod network;
mod numeric;
mod regex;
mod secrets;
mod set;
mod string;
mod uuid;
mod yaml;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use super::convert::convert;
use super::number::Number;
use super::types::Type;
use super::value::Value;

/// What is told of a secret text.
type Told = dyn Fn(&str) + Send + Sync;

/// Takes the secrets that expressions make; the default one drops them.
#[derive(Clone, Default)]
pub struct SecretSink(Option<Arc<Told>>);

impl SecretSink {
    /// A sink that hands every secret to `take`.
    pub fn new(take: impl Fn(&str) + Send + Sync + 'static) -> Self {
        SecretSink(Some(Arc::new(take)))
    }

    /// Takes a secret.
    pub fn add(&self, secret: &str) {
        if let Some(take) = &self.0 {
            take(secret);
        }
    }
}

impl std::fmt::Debug for SecretSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretSink")
    }
}

/// What functions know about the run.
#[derive(Debug, Clone)]
pub struct FunctionContext {
    /// The directory that relative paths start from: the template's.
    pub base_dir: PathBuf,
    /// When the run started, so that all timestamps of a run agree.
    pub start: time::OffsetDateTime,
    /// Whether `env` may be called: only in the defaults of variables.
    pub env_allowed: bool,
    /// What must never be shown: what expressions make of sensitive values is added to it.
    pub secrets: SecretSink,
}

/// What an argument may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// Any value.
    Any,
    /// A string.
    String,
    /// A number.
    Number,
    /// A list of bools.
    Bools,
    /// A list of strings.
    Strings,
    /// A list of anything of one type.
    List,
    /// A set of anything of one type.
    Set,
}

impl Accepts {
    fn ty(self) -> Type {
        match self {
            Accepts::Any => Type::Dynamic,
            Accepts::String => Type::String,
            Accepts::Number => Type::Number,
            Accepts::Bools => Type::list(Type::Bool),
            Accepts::Strings => Type::list(Type::String),
            Accepts::List => Type::list(Type::Dynamic),
            Accepts::Set => Type::set(Type::Dynamic),
        }
    }
}

/// One argument of a function.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// What messages call it.
    pub name: &'static str,
    /// What it may be.
    pub accepts: Accepts,
    /// Whether it may be null.
    pub null: bool,
    /// Whether the function can work with it while it is not known.
    pub unknown: bool,
    /// Whether its parts are only moved about, so that each can stay unknown or secret alone.
    pub parts: bool,
}

/// An argument that must be there, known, and not null.
pub const fn param(name: &'static str, accepts: Accepts) -> Param {
    Param { name, accepts, null: false, unknown: false, parts: false }
}

impl Param {
    /// Lets null through.
    pub const fn or_null(self) -> Param {
        Param { null: true, ..self }
    }

    /// Lets unknown values through.
    pub const fn or_unknown(self) -> Param {
        Param { unknown: true, ..self }
    }

    /// Lets unknown and secret parts of a known value through.
    pub const fn in_parts(self) -> Param {
        Param { parts: true, ..self }
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which argument is to blame, if one is.
    pub argument: Option<usize>,
    /// What is wrong, as a sentence without full stop.
    pub message: String,
}

impl Failure {
    /// A failure of the call as a whole.
    pub fn new(message: impl Into<String>) -> Self {
        Failure { argument: None, message: message.into() }
    }

    /// A failure that one argument (counted from 0) is to blame for.
    pub fn argument(index: usize, message: impl Into<String>) -> Self {
        Failure { argument: Some(index), message: message.into() }
    }
}

/// What a call gives.
pub type Outcome = Result<Value, Failure>;

/// The type of a result while the arguments are not known.
#[derive(Clone, Copy)]
pub enum Returns {
    /// A bool.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// A list of strings.
    Strings,
    /// Anything.
    Any,
    /// What the types of the arguments say.
    By(fn(&[Value]) -> Type),
}

impl Returns {
    fn ty(self, args: &[Value]) -> Type {
        match self {
            Returns::Bool => Type::Bool,
            Returns::Number => Type::Number,
            Returns::String => Type::String,
            Returns::Strings => Type::list(Type::String),
            Returns::Any => Type::Dynamic,
            Returns::By(rule) => rule(args),
        }
    }
}

/// A function of the language.
pub struct Function {
    /// Its name in templates.
    pub name: &'static str,
    /// The arguments it must be given.
    pub params: &'static [Param],
    /// What further arguments must be, if it takes any.
    pub rest: Option<Param>,
    /// The type of the result while the arguments are not known.
    pub returns: Returns,
    /// Does the work.
    pub call: fn(&[Value], &FunctionContext) -> Outcome,
}

/// A function of a fixed number of arguments.
const fn function(
    name: &'static str,
    params: &'static [Param],
    returns: Returns,
    call: fn(&[Value], &FunctionContext) -> Outcome,
) -> Function {
    Function { name, params, rest: None, returns, call }
}

/// A function from one text to one text.
const fn of_text(name: &'static str, call: fn(&[Value], &FunctionContext) -> Outcome) -> Function {
    const PARAMS: &[Param] = &[param("str", Accepts::String)];
    function(name, PARAMS, Returns::String, call)
}

impl Function {
    /// Takes more arguments after the fixed ones.
    const fn rest(self, rest: Param) -> Function {
        Function { rest: Some(rest), ..self }
    }
}

static TABLE: LazyLock<BTreeMap<&'static str, &'static Function>> = LazyLock::new(|| {
    [
        collection::FUNCTIONS,
        csv::FUNCTIONS,
        date::FUNCTIONS,
        encoding::FUNCTIONS,
        files::FUNCTIONS,
        format::FUNCTIONS,
        hash::FUNCTIONS,
        json::FUNCTIONS,
        list::FUNCTIONS,
        map::FUNCTIONS,
        network::FUNCTIONS,
        numeric::FUNCTIONS,
        regex::FUNCTIONS,
        secrets::FUNCTIONS,
        set::FUNCTIONS,
        string::FUNCTIONS,
        uuid::FUNCTIONS,
        yaml::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
    .map(|function| (function.name, function))
    .collect()
});

/// The names of all functions, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.keys().copied()
}

/// The function called `name`.
pub fn get(name: &str) -> Option<&'static Function> {
    TABLE.get(name).copied()
}

/// Calls a function.
///
/// # Errors
/// The arguments do not fit, or the function says why it cannot do its work.
pub fn call(function: &Function, args: &[Value], ctx: &FunctionContext) -> Outcome {
    if args.len() < function.params.len() {
        let missing = function.params[args.len()].name;
        return Err(Failure::new(format!("the argument `{missing}` is missing")));
    }
    if function.rest.is_none() && args.len() > function.params.len() {
        let takes = match function.params.len() {
            0 => "no arguments".to_owned(),
            1 => "one argument".to_owned(),
            count => format!("{count} arguments"),
        };
        return Err(Failure::argument(
            function.params.len(),
            format!("it takes {takes}, not {}", args.len()),
        ));
    }
    let mut sensitive = false;
    let mut known = true;
    let mut plain = Vec::with_capacity(args.len());
    for (index, value) in args.iter().enumerate() {
        let Some(param) = function.params.get(index).or(function.rest.as_ref()) else { continue };
        let (value, secret) = match param.parts {
            true => (Value::from(value.kind.clone()), value.sensitive),
            false => value.unmark(),
        };
        sensitive |= secret;
        if value.is_null() && !param.null {
            return Err(Failure::argument(index, format!("`{}` must not be null", param.name)));
        }
        let value = convert(&value, &param.accepts.ty())
            .map_err(|error| Failure::argument(index, format!("`{}`: {error}", param.name)))?;
        known &= param.unknown
            || if param.parts { !value.is_unknown() } else { value.is_wholly_known() };
        plain.push(value);
    }
    if !known {
        return Ok(Value::unknown(function.returns.ty(&plain)).mark(sensitive));
    }
    (function.call)(&plain, ctx).map(|value| value.mark(sensitive))
}

/// How the function is called, as in `substr(str, offset, length)`.
pub fn signature(function: &Function) -> String {
    let mut names: Vec<String> = function.params.iter().map(|p| p.name.to_owned()).collect();
    names.extend(function.rest.map(|rest| format!("{}...", rest.name)));
    format!("{}({})", function.name, names.join(", "))
}

/// The text of an argument that was declared as a string.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of an argument that was declared as a list or set.
fn items(value: &Value) -> &[Value] {
    value.as_items().unwrap_or_default()
}

/// The whole number that an argument must be.
fn whole(args: &[Value], index: usize) -> Result<i64, Failure> {
    let number = args[index].as_number().and_then(Number::as_i64);
    number.ok_or_else(|| Failure::argument(index, "a whole number is required"))
}

/// The whole number that an argument must be, as a count of something.
fn count(args: &[Value], index: usize) -> Result<usize, Failure> {
    usize::try_from(whole(args, index)?)
        .map_err(|_| Failure::argument(index, "a number that is not negative is required"))
}

#[cfg(test)]
mod tests;
