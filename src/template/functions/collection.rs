//! Functions of lists, sets, maps and objects.

use std::collections::BTreeMap;

use super::{Accepts, Failure, Function, FunctionContext, Outcome, items, param, text};
use crate::template::convert::{convert, unify};
use crate::template::{Kind, Number, Type, Value};

const ANY: Accepts = Accepts::Any;

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "coalesce",
        params: &[],
        rest: Some(param("vals", ANY).or_null()),
        returns: || Type::Dynamic,
        call: |args, _| {
            let there = |value: &&Value| !value.is_null() && value.as_str() != Some("");
            args.iter()
                .find(there)
                .cloned()
                .ok_or_else(|| Failure::new("all values are null or empty"))
        },
    },
    Function {
        name: "coalescelist",
        params: &[],
        rest: Some(param("vals", ANY)),
        returns: || Type::Dynamic,
        call: |args, _| {
            let full = |value: &&Value| !items(value).is_empty();
            args.iter().find(full).cloned().ok_or_else(|| Failure::new("all lists are empty"))
        },
    },
    Function {
        name: "compact",
        params: &[param("list", Accepts::Strings)],
        rest: None,
        returns: || Type::list(Type::String),
        call: |args, _| {
            let full =
                items(&args[0]).iter().filter(|item| !matches!(item.as_str(), None | Some("")));
            Ok(Value::list(Type::String, full.cloned().collect()))
        },
    },
    Function {
        name: "concat",
        params: &[],
        rest: Some(param("seqs", ANY)),
        returns: || Type::Dynamic,
        call: concat,
    },
    Function {
        name: "contains",
        params: &[param("list", ANY), param("value", ANY)],
        rest: None,
        returns: || Type::Bool,
        call: |args, _| {
            let list = sequence(args, 0)?;
            let found = list
                .iter()
                .any(|item| super::super::operators::equal(item, &args[1]) == Some(true));
            Ok(found.into())
        },
    },
    Function {
        name: "distinct",
        params: &[param("list", Accepts::List)],
        rest: None,
        returns: || Type::list(Type::Dynamic),
        call: |args, _| {
            let mut kept: Vec<Value> = Vec::new();
            for item in items(&args[0]) {
                if !kept.contains(item) {
                    kept.push(item.clone());
                }
            }
            relist(&args[0], kept)
        },
    },
    Function {
        name: "element",
        params: &[param("list", ANY), param("index", Accepts::Number)],
        rest: None,
        returns: || Type::Dynamic,
        call: |args, _| {
            let list = sequence(args, 0)?;
            let index = whole(args, 1)?;
            if list.is_empty() {
                return Err(Failure::argument(0, "the list is empty"));
            }
            Ok(list[index % list.len()].clone())
        },
    },
    Function {
        name: "flatten",
        params: &[param("list", ANY)],
        rest: None,
        returns: || Type::Dynamic,
        call: |args, _| {
            let mut flat = Vec::new();
            flatten(sequence(args, 0)?, &mut flat);
            Ok(Value::tuple(flat))
        },
    },
    Function {
        name: "index",
        params: &[param("list", ANY), param("value", ANY)],
        rest: None,
        returns: || Type::Number,
        call: |args, _| {
            let position = sequence(args, 0)?.iter().position(|item| item == &args[1]);
            position
                .map(Value::from)
                .ok_or_else(|| Failure::argument(1, "the list does not hold this value"))
        },
    },
    Function {
        name: "keys",
        params: &[param("map", ANY)],
        rest: None,
        returns: || Type::list(Type::String),
        call: |args, _| {
            let entries = entries(args, 0)?;
            match args[0].kind {
                Kind::Object(_) => {
                    Ok(Value::tuple(entries.keys().map(|key| key.as_str().into()).collect()))
                }
                _ => Ok(Value::strings(entries.keys())),
            }
        },
    },
    Function {
        name: "length",
        params: &[param("value", ANY)],
        rest: None,
        returns: || Type::Number,
        call: |args, _| match (args[0].as_items(), args[0].as_entries(), args[0].as_str()) {
            (Some(items), _, _) => Ok(items.len().into()),
            (_, Some(entries), _) => Ok(entries.len().into()),
            (_, _, Some(text)) => Ok(text.chars().count().into()),
            _ => Err(Failure::argument(
                0,
                "only lists, sets, maps, objects and strings have a length",
            )),
        },
    },
    Function {
        name: "lookup",
        params: &[param("map", ANY), param("key", Accepts::String)],
        rest: Some(param("default", ANY)),
        returns: || Type::Dynamic,
        call: |args, _| {
            let key = text(&args[1]);
            let found = entries(args, 0)?.get(key).or(args.get(2));
            found.cloned().ok_or_else(|| Failure::argument(1, format!("there is no key {key:?}")))
        },
    },
    Function {
        name: "merge",
        params: &[],
        rest: Some(param("maps", ANY).or_null()),
        returns: || Type::Dynamic,
        call: merge,
    },
    Function {
        name: "range",
        params: &[],
        rest: Some(param("params", Accepts::Number)),
        returns: || Type::list(Type::Number),
        call: range,
    },
    Function {
        name: "reverse",
        params: &[param("list", ANY)],
        rest: None,
        returns: || Type::Dynamic,
        call: |args, _| {
            let mut list = sequence(args, 0)?.to_vec();
            list.reverse();
            relist(&args[0], list)
        },
    },
    Function {
        name: "slice",
        params: &[
            param("list", ANY),
            param("start_index", Accepts::Number),
            param("end_index", Accepts::Number),
        ],
        rest: None,
        returns: || Type::Dynamic,
        call: |args, _| {
            let (list, start, end) = (sequence(args, 0)?, whole(args, 1)?, whole(args, 2)?);
            match list.get(start..end) {
                Some(part) => relist(&args[0], part.to_vec()),
                None => Err(Failure::argument(
                    2,
                    format!("{start} to {end} is not inside a list of {} items", list.len()),
                )),
            }
        },
    },
    Function {
        name: "sort",
        params: &[param("list", Accepts::Strings)],
        rest: None,
        returns: || Type::list(Type::String),
        call: |args, _| {
            let mut list = items(&args[0]).to_vec();
            list.sort_by(Value::order);
            Ok(Value::list(Type::String, list))
        },
    },
    Function {
        name: "values",
        params: &[param("map", ANY)],
        rest: None,
        returns: || Type::Dynamic,
        call: |args, _| {
            let values: Vec<Value> = entries(args, 0)?.values().cloned().collect();
            Ok(match &args[0].kind {
                Kind::Map(ty, _) => Value::list(ty.clone(), values),
                _ => Value::tuple(values),
            })
        },
    },
    Function {
        name: "zipmap",
        params: &[param("keys", Accepts::Strings), param("values", ANY)],
        rest: None,
        returns: || Type::Dynamic,
        call: |args, _| {
            let (keys, values) = (items(&args[0]), sequence(args, 1)?);
            if keys.len() != values.len() {
                return Err(Failure::new(format!(
                    "{} keys do not go with {} values",
                    keys.len(),
                    values.len()
                )));
            }
            let pairs = keys.iter().map(|key| text(key).to_owned()).zip(values.iter().cloned());
            Ok(match &args[1].kind {
                Kind::List(ty, _) => Value::map(ty.clone(), pairs.collect()),
                _ => Value::object(pairs.collect()),
            })
        },
    },
    Function {
        name: "setunion",
        params: &[param("first", Accepts::Set)],
        rest: Some(param("others", Accepts::Set)),
        returns: || Type::set(Type::Dynamic),
        call: |args, _| {
            let all: Vec<Value> = args.iter().flat_map(items).cloned().collect();
            let ty = unify(all.iter().map(Value::ty))
                .ok_or_else(|| Failure::new("the sets hold values of different types"))?;
            Ok(Value::set(ty, all))
        },
    },
    Function {
        name: "setintersection",
        params: &[param("first", Accepts::Set)],
        rest: Some(param("others", Accepts::Set)),
        returns: || Type::set(Type::Dynamic),
        call: |args, _| {
            let common = items(&args[0])
                .iter()
                .filter(|item| args[1..].iter().all(|set| items(set).contains(item)));
            let common: Vec<Value> = common.cloned().collect();
            let Type::Set(ty) = args[0].ty() else {
                return Err(Failure::argument(0, "a set is required"));
            };
            Ok(Value::set(*ty, common))
        },
    },
];

fn sequence(args: &[Value], index: usize) -> Result<&[Value], Failure> {
    args[index].as_items().ok_or_else(|| {
        Failure::argument(
            index,
            format!("a list is required, this is a {}", args[index].ty().friendly()),
        )
    })
}

fn entries(args: &[Value], index: usize) -> Result<&BTreeMap<String, Value>, Failure> {
    args[index].as_entries().ok_or_else(|| {
        Failure::argument(
            index,
            format!("a map is required, this is a {}", args[index].ty().friendly()),
        )
    })
}

fn whole(args: &[Value], index: usize) -> Result<usize, Failure> {
    let number = args[index].as_number().and_then(Number::as_usize);
    number
        .ok_or_else(|| Failure::argument(index, "a whole number that is not negative is required"))
}

/// `list` as the kind of sequence that `like` is.
fn relist(like: &Value, list: Vec<Value>) -> Outcome {
    Ok(match &like.kind {
        Kind::List(ty, _) | Kind::Set(ty, _) => Value::list(ty.clone(), list),
        _ => Value::tuple(list),
    })
}

fn concat(args: &[Value], _: &FunctionContext) -> Outcome {
    let mut all = Vec::new();
    for index in 0..args.len() {
        all.extend_from_slice(sequence(args, index)?);
    }
    if !args.is_empty()
        && args.iter().all(|arg| matches!(arg.kind, Kind::List(..)))
        && let Some(ty) = unify(all.iter().map(Value::ty))
    {
        return convert(&Value::tuple(all), &Type::list(ty))
            .map_err(|error| Failure::new(error.to_string()));
    }
    Ok(Value::tuple(all))
}

fn flatten(list: &[Value], flat: &mut Vec<Value>) {
    for item in list {
        match item.as_items() {
            Some(inner) => flatten(inner, flat),
            None => flat.push(item.clone()),
        }
    }
}

fn merge(args: &[Value], _: &FunctionContext) -> Outcome {
    let mut all = BTreeMap::new();
    for index in (0..args.len()).filter(|&index| !args[index].is_null()) {
        all.extend(entries(args, index)?.clone());
    }
    let maps = args.iter().filter(|arg| !arg.is_null());
    let types: Option<Vec<&Type>> = maps
        .map(|arg| match &arg.kind {
            Kind::Map(ty, _) => Some(ty),
            _ => None,
        })
        .collect();
    Ok(match types.as_deref() {
        Some([first, rest @ ..]) if rest.iter().all(|ty| ty == first) => {
            Value::map((*first).clone(), all)
        }
        _ => Value::object(all),
    })
}

/// More items than this come from a slip.
const LONGEST_RANGE: usize = 1024;

fn range(args: &[Value], _: &FunctionContext) -> Outcome {
    let numbers: Vec<Number> = args.iter().filter_map(Value::as_number).cloned().collect();
    let zero = Number::from(0i64);
    let (start, end, step) = match numbers.as_slice() {
        [end] => (zero.clone(), end.clone(), None),
        [start, end] => (start.clone(), end.clone(), None),
        [start, end, step] => (start.clone(), end.clone(), Some(step.clone())),
        _ => {
            return Err(Failure::new(
                "one to three numbers are needed: range(end), range(start, end), range(start, end, step)",
            ));
        }
    };
    let down = end < start;
    let step = step.unwrap_or_else(|| Number::from(if down { -1i64 } else { 1i64 }));
    if step.is_zero() || step.is_negative() != down && start != end {
        return Err(Failure::new("the step does not lead from the start to the end"));
    }
    let mut list = Vec::new();
    let mut at = start;
    while if down { at > end } else { at < end } {
        if list.len() == LONGEST_RANGE {
            return Err(Failure::new(format!("a range has at most {LONGEST_RANGE} items")));
        }
        list.push(at.clone().into());
        at = at.add(&step);
    }
    Ok(Value::list(Type::Number, list))
}
