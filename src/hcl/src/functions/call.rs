//! What all functions have in common.

use super::context::FunctionContext;
use super::signature::{Failure, Function, Outcome};
use crate::convert::convert;
use crate::number::Number;
use crate::value::Value;

/// Calls a function.
///
/// # Errors
/// The arguments do not fit, or the function says why it cannot do its work.
pub fn call(function: &Function, args: &[Value], ctx: &FunctionContext) -> Outcome {
    ctx.volatile.note(function.name);
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

/// The text of an argument that was declared as a string.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of an argument that was declared as a list or set.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_items().unwrap_or_default()
}

/// The whole number that an argument must be.
pub(super) fn whole(args: &[Value], index: usize) -> Result<i64, Failure> {
    let number = args[index].as_number().and_then(Number::as_i64);
    number.ok_or_else(|| Failure::argument(index, "a whole number is required"))
}

/// The whole number that an argument must be, as a count of something.
pub(super) fn count(args: &[Value], index: usize) -> Result<usize, Failure> {
    usize::try_from(whole(args, index)?)
        .map_err(|_| Failure::argument(index, "a number that is not negative is required"))
}
