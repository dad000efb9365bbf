//! Functions of any collection, and of any values.

use super::{Accepts, Failure, Function, Outcome, Returns, function, items, param};
use crate::convert::convert;
use crate::unify::unify;
use crate::{Kind, Type, Value};

const ANY: Accepts = Accepts::Any;
const BOOLS: Accepts = Accepts::Bools;

pub(super) static FUNCTIONS: &[Function] = &[
    function("alltrue", &[param("list", BOOLS).or_unknown()], Returns::Bool, |args, _| {
        // A null is as good as false; what is not known ends the search.
        let found = items(&args[0]).iter().find(|item| item.as_bool() != Some(true));
        Ok(match (args[0].is_unknown(), found) {
            (true, _) => Value::unknown(Type::Bool),
            (false, Some(item)) if item.is_unknown() => Value::unknown(Type::Bool),
            (false, found) => found.is_none().into(),
        })
    }),
    function("anytrue", &[param("list", BOOLS).or_unknown()], Returns::Bool, |args, _| {
        let list = items(&args[0]);
        if list.iter().any(|item| item.as_bool() == Some(true)) {
            return Ok(true.into());
        }
        let open = args[0].is_unknown() || list.iter().any(Value::is_unknown);
        Ok(if open { Value::unknown(Type::Bool) } else { false.into() })
    }),
    function("coalesce", &[], Returns::Any, |args, _| coalesce(args))
        .rest(param("vals", ANY).or_null().or_unknown()),
    function("length", &[param("value", ANY).or_unknown()], Returns::Number, |args, _| {
        let length = match &args[0].kind {
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => items.len(),
            Kind::Map(_, entries) | Kind::Object(entries) => entries.len(),
            Kind::String(text) => super::string::clusters(text).count(),
            // The length of these is part of their type.
            Kind::Unknown(Type::Tuple(items)) => items.len(),
            Kind::Unknown(Type::Object(attributes)) => attributes.len(),
            Kind::Unknown(ty) if !matches!(ty, Type::Bool | Type::Number) => {
                return Ok(Value::unknown(Type::Number));
            }
            _ => {
                return Err(Failure::argument(
                    0,
                    "only lists, sets, maps, objects and strings have a length",
                ));
            }
        };
        Ok(length.into())
    }),
];

fn coalesce(args: &[Value]) -> Outcome {
    let ty = match args.is_empty() {
        true => None,
        false => unify(args.iter().map(Value::ty)),
    };
    let ty = ty.ok_or_else(|| Failure::new("values of one type are needed"))?;
    for (index, value) in args.iter().enumerate() {
        if value.is_unknown() {
            return Ok(Value::unknown(ty));
        }
        let value =
            convert(value, &ty).map_err(|error| Failure::argument(index, error.to_string()))?;
        if !value.is_null() && value.as_str() != Some("") {
            return Ok(value);
        }
    }
    Err(Failure::new("all values are null or empty"))
}
