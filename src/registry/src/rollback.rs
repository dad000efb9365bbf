//! What a channel goes back to: to undo the last change of it, and then the one before.

/// The versions that a channel goes back to, best first, from what it was assigned, oldest first: the
/// id of a version and whether that can still be assigned, or none where the channel was cleared.
///
/// An assignment of the version that a rollback would have given counts as a rollback: what it left is
/// forgotten, so that the next one goes further back and not forward again. Any other one is a change
/// that a rollback undoes. A channel that is cleared goes back to what it was assigned last.
pub fn rollback_targets<'a>(
    assigned: impl IntoIterator<Item = Option<(&'a str, bool)>>,
) -> Vec<&'a str> {
    let mut changes: Vec<(&str, bool)> = Vec::new();
    let mut cleared = true;
    for version in assigned {
        cleared = version.is_none();
        let Some((id, valid)) = version else { continue };
        if changes.last().is_some_and(|(current, _)| *current == id) {
            continue;
        }
        let before = &changes[..changes.len().saturating_sub(1)];
        // A rollback to one that was revoked later is one too.
        match before.iter().rposition(|(other, valid)| *other == id || *valid) {
            Some(back) if before[back].0 == id => changes.truncate(back + 1),
            _ => changes.push((id, valid)),
        }
    }
    let current = if cleared { None } else { changes.pop() };
    let others = changes.into_iter().rev().map(|(id, _)| id);
    others.filter(|id| current.is_none_or(|(current, _)| current != *id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The versions after a history: `-` where the channel was cleared, and a version in brackets
    /// cannot be assigned any more.
    fn after(history: &str) -> Vec<&str> {
        rollback_targets(history.split_whitespace().map(|word| match word {
            "-" => None,
            word => Some((word.trim_matches(['(', ')']), !word.starts_with('('))),
        }))
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
            // Cleared.
            ("1 2 -", &["2", "1"]),
            ("1 2 - 1", &[]),
            ("1 - 2", &["1"]),
        ] {
            assert_eq!(after(history), back, "{history}");
        }
    }
}
