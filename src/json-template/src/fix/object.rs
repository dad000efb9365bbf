//! Changing JSON objects without changing the order of their keys.

use serde_json::{Map, Value};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// Gives `old` the name `new`, in its place; a `new` that was there before goes.
pub(super) fn rename(object: &mut Object, old: &str, new: &str) {
    if old == new || !object.contains_key(old) {
        return;
    }
    object.shift_remove(new);
    let entries = std::mem::take(object).into_iter();
    *object = entries
        .map(|(key, value)| (if key == old { new.to_owned() } else { key }, value))
        .collect();
}

/// Puts `value` under the name `new` into the place of `old`.
pub(super) fn replace(object: &mut Object, old: &str, new: &str, value: Value) {
    rename(object, old, new);
    object.insert(new.to_owned(), value);
}

/// The string under `key`; empty if there is none.
pub(super) fn string<'o>(object: &'o Object, key: &str) -> &'o str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}
