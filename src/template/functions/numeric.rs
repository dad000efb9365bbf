//! Functions of numbers.

use super::{Accepts, Failure, Function, FunctionContext, Outcome, param};
use crate::template::{Number, Type, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "abs",
        params: &[param("num", Accepts::Number)],
        rest: None,
        returns: || Type::Number,
        call: |args, _| one(args, Number::abs),
    },
    Function {
        name: "ceil",
        params: &[param("num", Accepts::Number)],
        rest: None,
        returns: || Type::Number,
        call: |args, _| one(args, Number::ceil),
    },
    Function {
        name: "floor",
        params: &[param("num", Accepts::Number)],
        rest: None,
        returns: || Type::Number,
        call: |args, _| one(args, Number::floor),
    },
    Function {
        name: "max",
        params: &[],
        rest: Some(param("numbers", Accepts::Number)),
        returns: || Type::Number,
        call: |args, _| extreme(args, |values| values.max()),
    },
    Function {
        name: "min",
        params: &[],
        rest: Some(param("numbers", Accepts::Number)),
        returns: || Type::Number,
        call: |args, _| extreme(args, |values| values.min()),
    },
    Function {
        name: "parseint",
        params: &[param("number", Accepts::Any), param("base", Accepts::Number)],
        rest: None,
        returns: || Type::Number,
        call: parse_int,
    },
];

fn one(args: &[Value], apply: impl Fn(&Number) -> Number) -> Outcome {
    match args.first().and_then(Value::as_number) {
        Some(number) => Ok(apply(number).into()),
        None => Err(Failure::argument(0, "a number is required")),
    }
}

fn extreme<'a>(
    args: &'a [Value],
    pick: impl Fn(&mut dyn Iterator<Item = &'a Number>) -> Option<&'a Number>,
) -> Outcome {
    pick(&mut args.iter().filter_map(Value::as_number))
        .map(|number| number.clone().into())
        .ok_or_else(|| Failure::new("at least one number is needed"))
}

fn parse_int(args: &[Value], _: &FunctionContext) -> Outcome {
    let Some(digits) = args[0].as_str() else {
        return Err(Failure::argument(0, "a string is required"));
    };
    let base = args[1].as_number().and_then(Number::as_i64);
    let Some(base) = base.filter(|base| (2..=36).contains(base)) else {
        return Err(Failure::argument(1, "the base must be a whole number from 2 to 36"));
    };
    let complaint =
        || Failure::argument(0, format!("{digits:?} is not a whole number in base {base}"));
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let plain = digits.chars().all(|c| c.is_ascii_alphanumeric());
    let parsed = dashu_int::IBig::from_str_radix(digits, base as u32);
    match parsed {
        Ok(number) if plain => Ok(Number::from_integer(number * sign).into()),
        _ => Err(complaint()),
    }
}
