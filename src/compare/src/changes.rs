//! What was added, removed and changed between two maps.

use std::collections::BTreeMap;

use serde::Serialize;

/// The differences of two maps, by key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changes<T> {
    /// What only the second has.
    pub added: BTreeMap<String, T>,
    /// What only the first has.
    pub removed: BTreeMap<String, T>,
    /// What both have, with values that differ.
    pub changed: BTreeMap<String, Change<T>>,
}

/// A value before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// That of the first.
    pub before: T,
    /// That of the second.
    pub after: T,
}

impl<T: Clone + PartialEq> Changes<T> {
    /// What differs between `before` and `after`.
    pub fn between(before: &BTreeMap<String, T>, after: &BTreeMap<String, T>) -> Self {
        let missing = |all: &BTreeMap<String, T>, other: &BTreeMap<String, T>| {
            let only = all.iter().filter(|(key, _)| !other.contains_key(*key));
            only.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let changed = before.iter().filter_map(|(key, before)| {
            let after = after.get(key).filter(|after| *after != before)?;
            Some((key.clone(), Change { before: before.clone(), after: after.clone() }))
        });
        Changes {
            added: missing(after, before),
            removed: missing(before, after),
            changed: changed.collect(),
        }
    }
}

impl<T> Changes<T> {
    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// How many there are, in words: `2 added, 1 changed`.
    pub fn counts(&self) -> String {
        let counts = [
            (self.added.len(), "added"),
            (self.removed.len(), "removed"),
            (self.changed.len(), "changed"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
        match words.is_empty() {
            true => "the same".to_owned(),
            false => words.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_added_removed_and_changed() {
        let map = |pairs: &[(&str, u8)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
        };
        let (one, two) =
            (map(&[("a", 1), ("b", 1), ("c", 1)]), map(&[("b", 2), ("c", 1), ("d", 1)]));
        let changes = Changes::between(&one, &two);
        assert_eq!((changes.added, changes.removed), (map(&[("d", 1)]), map(&[("a", 1)])));
        assert_eq!(changes.changed, [("b".to_owned(), Change { before: 1, after: 2 })].into());
        let same = Changes::between(&one, &one);
        assert!(same.is_empty() && same.counts() == "the same");
        assert_eq!(Changes::between(&one, &two).counts(), "1 added, 1 removed, 1 changed");
    }
}
