//! Refused requests in the audit log: a line for each would let anybody who may sign in fill it, and
//! the disk. Those of one principal from one address in a minute are one line and their number.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};

/// How many principals and addresses are counted separately in a minute; the others are counted
/// together.
const MOST: usize = 1000;

/// What was refused since it was last written down: principal and address, and how often after the
/// first time.
#[derive(Debug, Default)]
pub(super) struct RefusedRequests(Mutex<HashMap<(String, String), u64>>);

impl RefusedRequests {
    fn counts(&self) -> MutexGuard<'_, HashMap<(String, String), u64>> {
        self.0.lock()
    }

    /// Counts a refusal; whether it is the first of its kind, which is to be written down itself.
    pub(crate) fn is_first(&self, principal: &str, address: &str) -> bool {
        let mut counts = self.counts();
        let key = (principal.to_owned(), address.to_owned());
        if let Some(count) = counts.get_mut(&key) {
            *count += 1;
            return false;
        }
        let is_known = counts.len() < MOST;
        match is_known {
            true => counts.insert(key, 0),
            false => {
                *counts.entry((String::new(), String::new())).or_default() += 1;
                None
            }
        };
        is_known
    }

    /// What was not written down since the last time: principal, address, number.
    pub(crate) fn take(&self) -> Vec<(String, String, u64)> {
        let counts = std::mem::take(&mut *self.counts());
        let more = counts.into_iter().filter(|(_, count)| *count > 0);
        more.map(|((principal, address), count)| (principal, address, count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_a_number() {
        let refused_requests = RefusedRequests::default();
        let first: Vec<bool> = (0..5).map(|_| refused_requests.is_first("p", "a")).collect();
        assert_eq!(first, [true, false, false, false, false]);
        assert!(refused_requests.is_first("p", "b"));
        assert_eq!(refused_requests.take(), [(String::from("p"), String::from("a"), 4)]);
        assert!(refused_requests.take().is_empty() && refused_requests.is_first("p", "a"));
        let written =
            (0..5000).filter(|at| refused_requests.is_first(&at.to_string(), "a")).count();
        assert!(written <= MOST, "{written}");
        assert_eq!(refused_requests.take().len(), 1);
    }
}
