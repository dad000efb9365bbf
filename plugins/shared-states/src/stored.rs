//! What is listed of states.

use std::collections::BTreeMap;

use ingot_sdk::{StateKey, StoredState};

/// The states of two places, in the order of their keys. One that is in both is listed once, with the
/// bytes that it takes in both.
pub fn merged(
    one: impl IntoIterator<Item = StoredState>,
    other: impl IntoIterator<Item = StoredState>,
) -> Vec<StoredState> {
    let mut all: BTreeMap<StateKey, StoredState> = BTreeMap::new();
    for state in one.into_iter().chain(other) {
        match all.get_mut(&state.key) {
            Some(first) => {
                first.bytes += state.bytes;
                first.created = first.created.min(state.created);
            }
            None => drop(all.insert(state.key.clone(), state)),
        }
    }
    all.into_values().collect()
}
