//! What a function takes and returns.

use super::context::FunctionContext;
use crate::types::Type;
use crate::value::Value;

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
    pub(super) fn ty(self) -> Type {
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
    pub(super) fn ty(self, args: &[Value]) -> Type {
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
pub(super) const fn function(
    name: &'static str,
    params: &'static [Param],
    returns: Returns,
    call: fn(&[Value], &FunctionContext) -> Outcome,
) -> Function {
    Function { name, params, rest: None, returns, call }
}

/// A function from one text to one text.
pub(super) const fn of_text(
    name: &'static str,
    call: fn(&[Value], &FunctionContext) -> Outcome,
) -> Function {
    const PARAMS: &[Param] = &[param("str", Accepts::String)];
    function(name, PARAMS, Returns::String, call)
}

impl Function {
    /// Takes more arguments after the fixed ones.
    pub(super) const fn rest(self, rest: Param) -> Function {
        Function { rest: Some(rest), ..self }
    }
}

/// How the function is called, as in `substr(str, offset, length)`.
pub fn signature(function: &Function) -> String {
    let mut names: Vec<String> = function.params.iter().map(|p| p.name.to_owned()).collect();
    names.extend(function.rest.map(|rest| format!("{}...", rest.name)));
    format!("{}({})", function.name, names.join(", "))
}
