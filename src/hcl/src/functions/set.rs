//! Functions of sets.

use super::list::collection;
use super::{
    Accepts, Failure, Function, FunctionContext, Outcome, Returns, function, items, param,
};
use crate::convert::convert;
use crate::unify::unify;
use crate::{Kind, Type, Value};

const SET: Accepts = Accepts::Set;

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        "setintersection",
        &[param("first_set", SET)],
        Returns::By(|args| common(args).unwrap_or(Type::Dynamic)),
        |args, _| {
            combine(args, |first, rest| {
                let everywhere = |item: &&Value| rest.iter().all(|set| items(set).contains(item));
                items(first).iter().filter(everywhere).cloned().collect()
            })
        },
    )
    .rest(param("other_sets", SET)),
    function("setproduct", &[], Returns::By(product_type), product)
        .rest(param("sets", Accepts::Any).in_parts()),
    function(
        "setunion",
        &[param("first_set", SET)],
        Returns::By(|args| common(args).unwrap_or(Type::Dynamic)),
        |args, _| {
            combine(args, |first, rest| {
                items(first).iter().chain(rest.iter().flat_map(items)).cloned().collect()
            })
        },
    )
    .rest(param("other_sets", SET)),
];

/// The type that all sets can have. Empty ones of no type fit in anywhere.
fn common(args: &[Value]) -> Option<Type> {
    let untyped = |set: &&Value| {
        set.ty() == Type::set(Type::Dynamic) && !set.is_unknown() && items(set).is_empty()
    };
    let types = args.iter().filter(|set| !untyped(set)).filter_map(|set| match set.ty() {
        Type::Set(item) => Some(*item),
        _ => None,
    });
    unify(types).map(Type::set)
}

fn combine(args: &[Value], apply: impl Fn(&Value, &[Value]) -> Vec<Value>) -> Outcome {
    let mismatch = || Failure::new("the sets hold values of different types");
    let ty = common(args).ok_or_else(mismatch)?;
    let sets = args.iter().map(|set| convert(set, &ty));
    let sets = sets.collect::<Result<Vec<_>, _>>().map_err(|_| mismatch())?;
    match ty {
        Type::Set(item) => Ok(Value::set(*item, apply(&sets[0], &sets[1..]))),
        _ => Err(mismatch()),
    }
}

/// The type of the items of each of the collections.
fn item_types(args: &[Value]) -> Result<Vec<Type>, Failure> {
    let item = |(index, arg): (usize, &Value)| match arg.ty() {
        Type::List(item) | Type::Set(item) => Ok(*item),
        Type::Tuple(items) => unify(items.into_iter())
            .ok_or_else(|| Failure::argument(index, "all items must have one type")),
        other => Err(Failure::argument(
            index,
            format!("a set or list is required, this is {}", other.with_article()),
        )),
    };
    args.iter().enumerate().map(item).collect()
}

/// Lists make a list; with a set among them it is a set.
fn product_type(args: &[Value]) -> Type {
    let Ok(items) = item_types(args) else { return Type::Dynamic };
    match args.iter().any(|arg| matches!(arg.ty(), Type::Set(_))) {
        true => Type::set(Type::Tuple(items)),
        false => Type::list(Type::Tuple(items)),
    }
}

/// More combinations than this would fill the memory.
const LARGEST_PRODUCT: usize = 1_000_000;

fn product(args: &[Value], _: &FunctionContext) -> Outcome {
    if args.len() < 2 {
        return Err(Failure::new("at least two sets or lists are needed"));
    }
    let types = item_types(args)?;
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for (index, ty) in types.iter().enumerate() {
        let items = collection(args, index)?.iter().map(|item| convert(item, ty));
        let items = items
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Failure::argument(index, error.to_string()))?;
        if rows.len().saturating_mul(items.len()) > LARGEST_PRODUCT {
            return Err(Failure::new(format!(
                "there are more than {LARGEST_PRODUCT} combinations"
            )));
        }
        let extended = rows.iter().flat_map(|row| {
            items.iter().map(move |item| row.iter().chain([item]).cloned().collect())
        });
        rows = extended.collect();
    }
    let rows: Vec<Value> = rows.into_iter().map(Value::tuple).collect();
    let row = Type::Tuple(types);
    Ok(match args.iter().any(|arg| matches!(arg.kind, Kind::Set(..))) {
        true => Value::set(row, rows),
        false => Value::list(row, rows),
    })
}
