//! Functions of numbers.

use super::list::collection;
use super::{
    Accepts, Failure, Function, FunctionContext, Outcome, Param, Returns, function, param, whole,
};
use crate::convert::convert;
use crate::{Number, Type, Value};

const NUMBER: Accepts = Accepts::Number;

/// A function from a number to a number.
const fn of_one(name: &'static str, call: fn(&[Value], &FunctionContext) -> Outcome) -> Function {
    const PARAMS: &[Param] = &[param("num", NUMBER)];
    function(name, PARAMS, Returns::Number, call)
}

pub(super) static FUNCTIONS: &[Function] = &[
    of_one("abs", |args, _| number(args, 0).map(|number| number.abs().into())),
    of_one("ceil", |args, _| number(args, 0).map(|number| number.ceil().into())),
    of_one("floor", |args, _| number(args, 0).map(|number| number.floor().into())),
    of_one("signum", |args, _| whole(args, 0).map(|number| number.signum().into())),
    function("log", &[param("num", NUMBER), param("base", NUMBER)], Returns::Number, |args, _| {
        machine(args, |number, base| number.ln() / base.ln())
    }),
    function("max", &[], Returns::Number, |args, _| extreme(args, |values| values.max()))
        .rest(param("numbers", NUMBER)),
    function("min", &[], Returns::Number, |args, _| extreme(args, |values| values.min()))
        .rest(param("numbers", NUMBER)),
    function(
        "parseint",
        &[param("number", Accepts::Any), param("base", NUMBER)],
        Returns::Number,
        |args, _| parse_int(args),
    ),
    function("pow", &[param("num", NUMBER), param("power", NUMBER)], Returns::Number, |args, _| {
        machine(args, f64::powf)
    }),
    function("sum", &[param("list", Accepts::Any)], Returns::Number, |args, _| {
        let mut total: Option<Number> = None;
        for item in collection(args, 0)? {
            let item = convert(item, &Type::Number).ok();
            let number = item.as_ref().and_then(Value::as_number);
            let number = number.ok_or_else(|| Failure::argument(0, "all items must be numbers"))?;
            total = Some(total.map_or_else(|| number.clone(), |total| total.add(number)));
        }
        total.map(Value::from).ok_or_else(|| Failure::argument(0, "the list is empty"))
    }),
];

fn number(args: &[Value], index: usize) -> Result<&Number, Failure> {
    args[index].as_number().ok_or_else(|| Failure::argument(index, "a number is required"))
}

/// What the machine's floats give for two numbers.
fn machine(args: &[Value], apply: impl Fn(f64, f64) -> f64) -> Outcome {
    let (a, b) = (number(args, 0)?.to_f64(), number(args, 1)?.to_f64());
    Number::from_f64(apply(a, b))
        .map(Value::from)
        .ok_or_else(|| Failure::new("the result is not a number, or too large for one"))
}

fn extreme<'a>(
    args: &'a [Value],
    pick: impl Fn(&mut dyn Iterator<Item = &'a Number>) -> Option<&'a Number>,
) -> Outcome {
    pick(&mut args.iter().filter_map(Value::as_number))
        .map(|number| number.clone().into())
        .ok_or_else(|| Failure::new("at least one number is needed"))
}

fn parse_int(args: &[Value]) -> Outcome {
    let Some(digits) = args[0].as_str() else {
        return Err(Failure::argument(0, "a string is required"));
    };
    let base = whole(args, 1)?;
    if !(2..=62).contains(&base) {
        return Err(Failure::argument(1, "the base must be a whole number from 2 to 62"));
    }
    let complaint =
        || Failure::argument(0, format!("{digits:?} is not a whole number in base {base}"));
    let (negative, magnitude) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    if magnitude.is_empty() {
        return Err(complaint());
    }
    let mut number = dashu_int::IBig::ZERO;
    for digit in magnitude.chars() {
        // Up to base 36 case does not matter; beyond it capitals follow the small letters.
        let value = match digit {
            '0'..='9' => digit as i64 - '0' as i64,
            'a'..='z' => digit as i64 - 'a' as i64 + 10,
            'A'..='Z' => digit as i64 - 'A' as i64 + if base > 36 { 36 } else { 10 },
            _ => return Err(complaint()),
        };
        if value >= base {
            return Err(complaint());
        }
        number = number * base + value;
    }
    Ok(Number::from_integer(if negative { -number } else { number }).into())
}
