//! What a channel goes back to: to undo the last change of it, and then the one before.

use crate::api::{ChannelAssignment, Timestamp};

/// An assignment of a version to a channel, as far as it says what the channel goes back to. `V` names the
/// version: its id or its fingerprint.
#[derive(Debug, Clone, Copy)]
pub struct Assigned<V> {
    /// The version.
    pub version: V,
    /// Whether the version can be assigned now.
    pub valid: bool,
    /// When it was assigned.
    at: Timestamp,
    /// When the version was changed last, if no revocation of it is known now. If that is later than
    /// an assignment, one was taken back since, and the version may have been revoked at the time.
    restored_at: Timestamp,
}

impl<V> Assigned<V> {
    /// The assignment, made `at` that time, of a version that is `valid` now, was changed last at
    /// `updated_at`, and is revoked or to be revoked at `revoke_at`, if at all.
    pub fn new(
        version: V,
        valid: bool,
        at: Timestamp,
        revoke_at: Timestamp,
        updated_at: Timestamp,
    ) -> Self {
        let restored_at = if revoke_at.is_set() { Timestamp::NONE } else { updated_at };
        Assigned { version, valid, at, restored_at }
    }
}

impl<'a> Assigned<&'a str> {
    /// An entry of a channel's history, with the version by its fingerprint; none where the channel
    /// was cleared.
    pub fn of(entry: &'a ChannelAssignment) -> Option<Self> {
        let version = entry.version.as_ref()?;
        let (id, valid) = (version.fingerprint.as_str(), !version.is_revoked());
        Some(Assigned::new(id, valid, entry.assigned_at, version.revoke_at, version.updated_at))
    }
}

/// The versions that a channel goes back to, best first, each as it was assigned, from what the channel was
/// assigned, oldest first; none where it was cleared.
///
/// An assignment of the version that a rollback would have given counts as a rollback: what it left is
/// forgotten, so that the next one goes further back and not forward again. Any other one is a change
/// that a rollback undoes. A channel that is cleared goes back to what it was assigned last.
pub fn rollback_targets<V: PartialEq>(
    assigned: impl IntoIterator<Item = Option<Assigned<V>>>,
) -> Vec<Assigned<V>> {
    let mut changes: Vec<Assigned<V>> = Vec::new();
    let mut cleared = true;
    for assigned in assigned {
        cleared = assigned.is_none();
        let Some(new) = assigned else { continue };
        if changes.last().is_some_and(|current| current.version == new.version) {
            continue;
        }
        let before = &changes[..changes.len().saturating_sub(1)];
        // A rollback to one that was revoked later is one too, and so is one past a version that may
        // have been revoked: in doubt, the next one does not go forward.
        let ends = |other: &Assigned<V>| {
            other.version == new.version || other.valid && other.restored_at <= new.at
        };
        match before.iter().rposition(ends) {
            Some(back) if before[back].version == new.version => changes.truncate(back + 1),
            _ => changes.push(new),
        }
    }
    let current = if cleared { None } else { changes.pop() };
    let is_current =
        |other: &Assigned<V>| current.as_ref().is_some_and(|it| it.version == other.version);
    changes.into_iter().rev().filter(|other| !is_current(other)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The versions after a history: `-` where the channel was cleared. A version in brackets cannot
    /// be assigned any more, and `2+5` was restored after the fifth assignment.
    fn after(history: &str) -> Vec<&str> {
        let words = history.split_whitespace().zip(0..);
        let assigned = words.map(|(word, number)| {
            let (version, restored) = word.split_once('+').unwrap_or((word, ""));
            let restored: Option<i64> = restored.parse().ok();
            let (version, valid) = (version.trim_matches(['(', ')']), !word.starts_with('('));
            let at = Timestamp::from_micros(Some(number * 2));
            let updated_at = Timestamp::from_micros(restored.map(|after| after * 2 - 1));
            (word != "-").then(|| Assigned::new(version, valid, at, Timestamp::NONE, updated_at))
        });
        rollback_targets(assigned).into_iter().map(|to| to.version).collect()
    }

    #[test]
    fn a_version_that_is_to_be_revoked_was_not_restored() {
        let at = |micros| Timestamp::from_micros(Some(micros));
        let assigned = |revoke_at| Assigned::new("1", true, at(1), revoke_at, at(2));
        assert_eq!(assigned(Timestamp::NONE).restored_at, at(2));
        assert_eq!(assigned(at(9)).restored_at, Timestamp::NONE);
    }

    #[test]
    fn a_rollback_undoes_the_last_change_and_goes_further_back_each_time() {
        for (history, back) in [
            ("", &[] as &[&str]),
            ("1", &[]),
            ("1 2 3", &["2", "1"]),
            // Rolled back once and twice.
            ("1 2 3 2", &["1"]),
            ("1 2 3 2 1", &[]),
            // What is assigned after that goes back to what was there, not to what had been left.
            ("1 2 3 2 1 3", &["1"]),
            // By mistake, and that rolled back.
            ("1 2 3 4 2", &["4", "3", "1"]),
            ("1 2 3 4 1", &["4", "3", "2"]),
            ("1 2 3 4 2 4", &["3", "2", "1"]),
            ("2 1 3", &["1", "2"]),
            ("2 1 2", &[]),
            // Again what it is.
            ("1 2 2", &["1"]),
            // Past one that was revoked, and to it where it is valid again: callers decide.
            ("1 (2) 3 1", &[]),
            ("1 (2) 3", &["2", "1"]),
            // Rolled back to one that was revoked after that, and further back since.
            ("1 (2) 3 (2) 1", &[]),
            ("1 2 (3) 4 (3) 2", &["1"]),
            // Past one that was revoked and is restored since, and past one that was restored before.
            ("1 2+4 3 1", &[]),
            ("1 2+3 3 1", &["3", "2"]),
            ("1 2+4 3 1 2", &["1"]),
            // Cleared.
            ("1 2 -", &["2", "1"]),
            ("1 2 - 1", &[]),
            ("1 - 2", &["1"]),
        ] {
            assert_eq!(after(history), back, "{history}");
        }
    }
}
