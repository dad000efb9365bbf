//! Which type values of several types can all have, by cty's rules.

use std::cmp::Ordering;

use super::convert::convertible;
use super::types::Type;

/// The type that values of all these types can be converted to; none if there is none. Nothing
/// at all unifies to an open type.
pub(crate) fn unify(types: impl Iterator<Item = Type>) -> Option<Type> {
    let types: Vec<Type> = types.collect();
    match types.is_empty() {
        true => Some(Type::Dynamic),
        false => unify_all(&types),
    }
}

fn unify_all(types: &[Type]) -> Option<Type> {
    let count = |test: fn(&Type) -> bool| types.iter().filter(|ty| test(ty)).count();
    let maps = count(|ty| matches!(ty, Type::Map(_)));
    let lists = count(|ty| matches!(ty, Type::List(_)));
    let sets = count(|ty| matches!(ty, Type::Set(_)));
    let objects = count(|ty| matches!(ty, Type::Object(_)));
    let tuples = count(|ty| matches!(ty, Type::Tuple(_)));
    let open = count(|ty| matches!(ty, Type::Dynamic));
    let all = types.len();
    let collections = |wrap: fn(Type) -> Type| match open {
        0 => unify_all(&types.iter().filter_map(item).cloned().collect::<Vec<_>>()).map(wrap),
        _ => Some(Type::Dynamic),
    };
    if maps > 0 && maps + open == all {
        return collections(Type::map);
    }
    if lists > 0 && lists + open == all {
        return collections(Type::list);
    }
    if sets > 0 && sets + open == all {
        return collections(Type::set);
    }
    if maps > 0 && maps + objects + open == all {
        if let Some(ty @ Type::Map(_)) = as_collections(types, Type::map) {
            return Some(ty);
        }
    } else if lists > 0 && lists + tuples + open == all {
        if let Some(ty @ Type::List(_)) = as_collections(types, Type::list) {
            return Some(ty);
        }
    } else if objects > 0 && objects + open == all {
        return if open > 0 { Some(Type::Dynamic) } else { unify_objects(types) };
    } else if tuples > 0 && tuples + open == all {
        return if open > 0 { Some(Type::Dynamic) } else { unify_tuples(types) };
    } else if objects > 0 && tuples > 0 {
        return None;
    }
    preferred(types)
}

fn item(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Map(item) | Type::List(item) | Type::Set(item) => Some(item),
        _ => None,
    }
}

fn parts(ty: &Type) -> Vec<Type> {
    match ty {
        Type::Tuple(items) => items.clone(),
        Type::Object(attributes) => attributes.values().map(|a| a.ty.clone()).collect(),
        _ => Vec::new(),
    }
}

/// The collection that structures, all of one kind, become when their parts share a type.
fn collection_of(types: &[Type], wrap: fn(Type) -> Type) -> Option<Type> {
    let parts: Vec<Type> = types.iter().flat_map(parts).collect();
    if parts.is_empty() {
        return None;
    }
    let ty = wrap(unify_all(&parts)?);
    types.iter().all(|from| *from == ty || convertible(from, &ty)).then_some(ty)
}

/// Structures among collections are taken for such collections.
fn as_collections(types: &[Type], wrap: fn(Type) -> Type) -> Option<Type> {
    let structural = |ty: &Type| matches!(ty, Type::Object(_) | Type::Tuple(_));
    let structures: Vec<Type> = types.iter().filter(|ty| structural(ty)).cloned().collect();
    let common = collection_of(&structures, wrap)?;
    let replaced = types.iter().map(|ty| if structural(ty) { &common } else { ty });
    unify_all(&replaced.cloned().collect::<Vec<_>>())
}

fn unify_objects(types: &[Type]) -> Option<Type> {
    let names = |ty: &Type| match ty {
        Type::Object(attributes) => attributes.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let first = names(&types[0]);
    if types.iter().any(|ty| names(ty) != first) {
        return collection_of(types, Type::map);
    }
    let ty = Type::object(first.into_iter().zip(unify_parts(types)?));
    match types.iter().all(|from| *from == ty || convertible(from, &ty)) {
        true => Some(ty),
        false => collection_of(types, Type::map),
    }
}

fn unify_tuples(types: &[Type]) -> Option<Type> {
    let first = parts(&types[0]).len();
    if types.iter().any(|ty| parts(ty).len() != first) {
        return collection_of(types, Type::list);
    }
    let ty = Type::Tuple(unify_parts(types)?);
    match types.iter().all(|from| *from == ty || convertible(from, &ty)) {
        true => Some(ty),
        false => collection_of(types, Type::list),
    }
}

/// Part by part, of structures with the same parts.
fn unify_parts(types: &[Type]) -> Option<Vec<Type>> {
    let rows: Vec<Vec<Type>> = types.iter().map(parts).collect();
    (0..rows[0].len())
        .map(|index| unify_all(&rows.iter().map(|row| row[index].clone()).collect::<Vec<_>>()))
        .collect()
}

/// The first of the types, the most general ones first, that all others can be converted to.
fn preferred(types: &[Type]) -> Option<Type> {
    let fits = |wanted: &Type| types.iter().all(|from| from == wanted || convertible(from, wanted));
    general_first(types).into_iter().map(|index| &types[index]).find(|ty| fits(ty)).cloned()
}

/// The positions of the types, each after those that it can be converted to without loss.
fn general_first(types: &[Type]) -> Vec<usize> {
    let mut before = vec![0; types.len()];
    let mut after = vec![Vec::new(); types.len()];
    for first in 0..types.len() {
        for second in first + 1..types.len() {
            let (general, special) = match generality(&types[first], &types[second]) {
                Ordering::Less => (first, second),
                Ordering::Greater => (second, first),
                Ordering::Equal => continue,
            };
            after[general].push(special);
            before[special] += 1;
        }
    }
    let mut order: Vec<usize> = (0..types.len()).filter(|&index| before[index] == 0).collect();
    let mut next = 0;
    while let Some(&index) = order.get(next) {
        next += 1;
        for &special in &after[index] {
            before[special] -= 1;
            if before[special] == 0 {
                order.push(special);
            }
        }
    }
    order
}

/// Less if `a` is the more general one of two types, equal if they cannot be compared.
fn generality(a: &Type, b: &Type) -> Ordering {
    let all = |pairs: &mut dyn Iterator<Item = (&Type, &Type)>| {
        let orders: Vec<Ordering> = pairs.map(|(a, b)| generality(a, b)).collect();
        let less = orders.contains(&Ordering::Less);
        match (less, orders.contains(&Ordering::Greater)) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => Ordering::Equal,
        }
    };
    match (a, b) {
        (Type::Dynamic, Type::Dynamic) => Ordering::Equal,
        (Type::Dynamic, _) => Ordering::Greater,
        (_, Type::Dynamic) => Ordering::Less,
        (Type::String, Type::Bool | Type::Number) => Ordering::Less,
        (Type::Bool | Type::Number, Type::String) => Ordering::Greater,
        (Type::List(a), Type::List(b))
        | (Type::Set(a), Type::Set(b))
        | (Type::Map(a), Type::Map(b)) => generality(a, b),
        (Type::List(_), Type::Tuple(_) | Type::Set(_))
        | (Type::Map(_), Type::Object(_))
        | (Type::Tuple(_), Type::Set(_)) => Ordering::Less,
        (Type::Tuple(_) | Type::Set(_), Type::List(_))
        | (Type::Object(_), Type::Map(_))
        | (Type::Set(_), Type::Tuple(_)) => Ordering::Greater,
        (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => all(&mut a.iter().zip(b)),
        (Type::Object(a), Type::Object(b)) if a.keys().eq(b.keys()) => {
            all(&mut a.values().map(|a| &a.ty).zip(b.values().map(|b| &b.ty)))
        }
        _ => Ordering::Equal,
    }
}
