//! Functions of maps and objects.

use std::collections::BTreeMap;

use super::list::sequence;
use super::{
    Accepts, Failure, Function, FunctionContext, Outcome, Returns, function, items, param, text,
};
use crate::convert::convert;
use crate::{Kind, Type, Value};

const ANY: Accepts = Accepts::Any;

pub(super) static FUNCTIONS: &[Function] =
    &[
        function("keys", &[param("inputMap", ANY).or_unknown()], Returns::Strings, |args, _| {
            match &args[0].kind {
                Kind::Unknown(Type::Object(attributes)) => Ok(texts(attributes.keys())),
                Kind::Unknown(Type::Map(_)) => Ok(Value::unknown(Type::list(Type::String))),
                Kind::Unknown(Type::Dynamic) => Ok(Value::unknown(Type::Dynamic)),
                Kind::Object(attributes) => Ok(texts(attributes.keys())),
                _ => Ok(Value::strings(entries(args, 0)?.keys())),
            }
        }),
        function(
            "lookup",
            &[
                param("inputMap", ANY).in_parts(),
                param("key", Accepts::String),
                param("default", ANY).in_parts(),
            ],
            Returns::By(|args| match args[0].ty() {
                Type::Map(item) => *item,
                Type::Object(attributes) => match args[1].as_str() {
                    Some(key) => attributes.get(key).map_or(args[2].ty(), |found| found.ty.clone()),
                    None => Type::Dynamic,
                },
                _ => Type::Dynamic,
            }),
            |args, _| {
                let found = entries(args, 0)?.get(text(&args[1]));
                match (&args[0].kind, found) {
                    (_, Some(found)) => Ok(found.clone()),
                    (Kind::Map(item, _), None) => convert(&args[2], item).map_err(|error| {
                        Failure::argument(2, format!("the map has other values: {error}"))
                    }),
                    _ => Ok(args[2].clone()),
                }
            },
        ),
        function("merge", &[], Returns::By(merge_type), merge)
            .rest(param("maps", ANY).or_null().in_parts()),
        function(
            "values",
            &[param("mapping", ANY).in_parts()],
            Returns::By(|args| match args[0].ty() {
                Type::Map(item) => Type::List(item),
                Type::Object(attributes) => {
                    Type::Tuple(attributes.into_values().map(|attribute| attribute.ty).collect())
                }
                _ => Type::Dynamic,
            }),
            |args, _| {
                let values: Vec<Value> = entries(args, 0)?.values().cloned().collect();
                Ok(match &args[0].kind {
                    Kind::Map(ty, _) => Value::list(ty.clone(), values),
                    _ => Value::tuple(values),
                })
            },
        ),
        function(
            "zipmap",
            &[param("keys", Accepts::Strings), param("values", ANY).in_parts()],
            Returns::By(|args| match args[1].ty() {
                Type::List(item) => Type::Map(item),
                _ => Type::Dynamic,
            }),
            |args, _| {
                let (keys, values) = (items(&args[0]), sequence(args, 1)?);
                if keys.len() != values.len() {
                    return Err(Failure::new(format!(
                        "{} keys do not go with {} values",
                        keys.len(),
                        values.len()
                    )));
                }
                if keys.iter().any(Value::is_null) {
                    return Err(Failure::argument(0, "null cannot be a key"));
                }
                let pairs = keys.iter().map(|key| text(key).to_owned()).zip(values.iter().cloned());
                Ok(match &args[1].kind {
                    Kind::List(ty, _) => Value::map(ty.clone(), pairs.collect()),
                    _ => Value::object(pairs.collect()),
                })
            },
        ),
    ];

fn texts<'a>(names: impl Iterator<Item = &'a String>) -> Value {
    Value::tuple(names.map(|name| name.as_str().into()).collect())
}

fn entries(args: &[Value], index: usize) -> Result<&BTreeMap<String, Value>, Failure> {
    args[index].as_entries().ok_or_else(|| {
        let given = args[index].ty().with_article();
        Failure::argument(index, format!("a map is required, this is {given}"))
    })
}

/// Maps of one type are such a map; anything else makes an object.
fn merge_type(args: &[Value]) -> Type {
    match args.iter().map(Value::ty).collect::<Vec<_>>().as_slice() {
        [first @ Type::Map(_), rest @ ..] if rest.iter().all(|ty| ty == first) => first.clone(),
        _ => Type::Dynamic,
    }
}

fn merge(args: &[Value], _: &FunctionContext) -> Outcome {
    let mut all = BTreeMap::new();
    for index in (0..args.len()).filter(|&index| !args[index].is_null()) {
        all.extend(entries(args, index)?.clone());
    }
    Ok(match merge_type(args) {
        Type::Map(item) => Value::map(*item, all),
        _ => Value::object(all),
    })
}
