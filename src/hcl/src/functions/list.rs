//! Functions of lists and tuples.

use super::{
    Accepts, Failure, Function, FunctionContext, Outcome, Returns, count, function, items, param,
    text,
};
use crate::convert::convert;
use crate::operators::equal;
use crate::unify::unify;
use crate::{Kind, Number, Type, Value};

const ANY: Accepts = Accepts::Any;
const LIST: Accepts = Accepts::List;
const NUMBER: Accepts = Accepts::Number;
const STRINGS: Accepts = Accepts::Strings;

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        "chunklist",
        &[param("list", LIST).in_parts(), param("size", NUMBER)],
        Returns::By(|args| Type::list(args[0].ty())),
        |args, _| {
            let (list, size) = (items(&args[0]), count(args, 1)?);
            let item = item_type(&args[0]);
            let size = if size == 0 { list.len().max(1) } else { size };
            let chunks = list.chunks(size).map(|chunk| Value::list(item.clone(), chunk.to_vec()));
            Ok(Value::list(args[0].ty(), chunks.collect()))
        },
    ),
    function("coalescelist", &[], Returns::Any, |args, _| {
        let known = args.iter().take_while(|arg| !arg.is_unknown()).count();
        for (index, arg) in args[..known].iter().enumerate() {
            match &arg.kind {
                // A list that is null is skipped.
                Kind::Null(Type::List(_) | Type::Tuple(_)) => {}
                Kind::Null(Type::Dynamic) => {
                    return Err(Failure::argument(index, "`vals` must not be null"));
                }
                _ => {
                    sequence(args, index)?;
                }
            }
        }
        if let Some(full) = args[..known].iter().find(|arg| !items(arg).is_empty()) {
            return Ok(full.clone());
        }
        match known < args.len() {
            true => Ok(Value::unknown(Type::Dynamic)),
            false => Err(Failure::new("a list that is not empty is needed")),
        }
    })
    .rest(param("vals", ANY).or_null().or_unknown()),
    function("compact", &[param("list", STRINGS)], Returns::Strings, |args, _| {
        let full = items(&args[0]).iter().filter(|item| !text(item).is_empty());
        Ok(Value::list(Type::String, full.cloned().collect()))
    }),
    function("concat", &[], Returns::By(concat_type), concat).rest(param("seqs", ANY).in_parts()),
    function(
        "contains",
        &[param("list", ANY).or_unknown(), param("value", ANY).or_unknown()],
        Returns::Bool,
        |args, _| {
            if args[0].is_unknown() {
                return Ok(Value::unknown(Type::Bool));
            }
            let list = collection(args, 0)?;
            let found: Vec<Option<bool>> = list.iter().map(|item| equal(item, &args[1])).collect();
            Ok(match (found.contains(&Some(true)), found.contains(&None)) {
                (false, true) => Value::unknown(Type::Bool),
                (found, _) => found.into(),
            })
        },
    ),
    function("distinct", &[param("list", LIST)], Returns::By(|args| args[0].ty()), |args, _| {
        let mut kept: Vec<Value> = Vec::new();
        for item in items(&args[0]) {
            if !kept.iter().any(|other| equal(other, item) == Some(true)) {
                kept.push(item.clone());
            }
        }
        Ok(Value::list(item_type(&args[0]), kept))
    }),
    function(
        "element",
        &[param("list", ANY).in_parts(), param("index", NUMBER)],
        Returns::By(|args| match args[0].ty() {
            Type::List(item) => *item,
            _ => Type::Dynamic,
        }),
        |args, _| {
            let (list, index) = (sequence(args, 0)?, count(args, 1)?);
            match list.is_empty() {
                true => Err(Failure::argument(0, "the list is empty")),
                false => Ok(list[index % list.len()].clone()),
            }
        },
    ),
    function("flatten", &[param("list", ANY).in_parts()], Returns::Any, |args, _| {
        let mut flat = Vec::new();
        let mut secret = false;
        Ok(match flatten(collection(args, 0)?, &mut flat, &mut secret) {
            true => Value::tuple(flat),
            false => Value::unknown(Type::Dynamic),
        }
        .mark(secret))
    }),
    function(
        "index",
        &[param("list", ANY).or_unknown(), param("value", ANY).or_unknown()],
        Returns::Number,
        |args, _| {
            if args[0].is_unknown() {
                return Ok(Value::unknown(Type::Number));
            }
            for (position, item) in sequence(args, 0)?.iter().enumerate() {
                match equal(item, &args[1]) {
                    Some(true) => return Ok(position.into()),
                    Some(false) => {}
                    None => return Ok(Value::unknown(Type::Number)),
                }
            }
            Err(Failure::argument(1, "the list does not hold this value"))
        },
    ),
    function("range", &[], Returns::By(|_| Type::list(Type::Number)), range)
        .rest(param("params", NUMBER)),
    function(
        "reverse",
        &[param("list", ANY).in_parts()],
        Returns::By(|args| match args[0].ty() {
            Type::List(item) | Type::Set(item) => Type::List(item),
            Type::Tuple(mut items) => {
                items.reverse();
                Type::Tuple(items)
            }
            _ => Type::Dynamic,
        }),
        |args, _| {
            let mut list = collection(args, 0)?.to_vec();
            list.reverse();
            Ok(relist(&args[0], list))
        },
    ),
    function(
        "slice",
        &[param("list", ANY).in_parts(), param("start_index", NUMBER), param("end_index", NUMBER)],
        Returns::By(|args| match args[0].ty() {
            list @ Type::List(_) => list,
            _ => Type::Dynamic,
        }),
        |args, _| {
            let (list, start, end) = (sequence(args, 0)?, count(args, 1)?, count(args, 2)?);
            match list.get(start..end) {
                Some(part) => Ok(relist(&args[0], part.to_vec())),
                None => Err(Failure::argument(
                    2,
                    format!("{start} to {end} is not inside a list of {} items", list.len()),
                )),
            }
        },
    ),
    function("sort", &[param("list", STRINGS)], Returns::Strings, |args, _| {
        let mut list = items(&args[0]).to_vec();
        if list.iter().any(Value::is_null) {
            return Err(Failure::argument(0, "null cannot be sorted"));
        }
        list.sort_by(Value::order);
        Ok(Value::list(Type::String, list))
    }),
];

/// The items of a list or tuple.
pub(super) fn sequence(args: &[Value], index: usize) -> Result<&[Value], Failure> {
    match &args[index].kind {
        Kind::List(_, items) | Kind::Tuple(items) => Ok(items),
        Kind::Set(..) => Err(Failure::argument(
            index,
            "a list is required, this is a set, whose items have no order: convert(…, list(any))",
        )),
        _ => Err(wrong(args, index)),
    }
}

/// The items of a list, tuple or set.
pub(super) fn collection(args: &[Value], index: usize) -> Result<&[Value], Failure> {
    args[index].as_items().ok_or_else(|| wrong(args, index))
}

fn wrong(args: &[Value], index: usize) -> Failure {
    let given = args[index].ty().with_article();
    Failure::argument(index, format!("a list is required, this is {given}"))
}

/// The type of the items of a list or set.
fn item_type(list: &Value) -> Type {
    match list.ty() {
        Type::List(item) | Type::Set(item) => *item,
        _ => Type::Dynamic,
    }
}

/// `list` as the kind of sequence that `like` is.
fn relist(like: &Value, list: Vec<Value>) -> Value {
    match &like.kind {
        Kind::List(ty, _) | Kind::Set(ty, _) => Value::list(ty.clone(), list),
        _ => Value::tuple(list),
    }
}

/// Lists of types that go together are one list; anything else makes a tuple.
fn concat_type(args: &[Value]) -> Type {
    let lists = args.iter().all(|arg| matches!(arg.ty(), Type::List(_)));
    let common = lists.then(|| unify(args.iter().map(Value::ty))).flatten();
    common.unwrap_or(Type::Dynamic)
}

fn concat(args: &[Value], _: &FunctionContext) -> Outcome {
    if args.is_empty() {
        return Err(Failure::new("at least one list is needed"));
    }
    let mut all = Vec::new();
    for index in 0..args.len() {
        all.extend_from_slice(sequence(args, index)?);
    }
    match concat_type(args) {
        ty @ Type::List(_) => {
            convert(&Value::tuple(all), &ty).map_err(|error| Failure::new(error.to_string()))
        }
        _ => Ok(Value::tuple(all)),
    }
}

/// False if something unknown could be a list.
fn flatten(list: &[Value], flat: &mut Vec<Value>, secret: &mut bool) -> bool {
    let mut known = true;
    for item in list {
        match (&item.kind, item.as_items()) {
            (Kind::Unknown(Type::Dynamic | Type::List(_) | Type::Set(_) | Type::Tuple(_)), _) => {
                *secret |= item.sensitive;
                known = false;
            }
            (_, Some(inner)) => {
                *secret |= item.sensitive;
                known &= flatten(inner, flat, secret);
            }
            (_, None) => flat.push(item.clone()),
        }
    }
    known
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
