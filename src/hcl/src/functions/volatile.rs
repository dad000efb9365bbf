//! Functions whose results differ from run to run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The functions that ask the clock, chance, or a store outside of the template.
pub(super) const VOLATILE: &[&str] = &[
    "aws_secretsmanager",
    "aws_secretsmanager_raw",
    "bcrypt",
    "consul_key",
    "legacy_isotime",
    "legacy_strftime",
    "timestamp",
    "uuidv4",
    "vault",
];

/// Notes which functions are called whose results can differ each time; the default one notes
/// nothing.
#[derive(Debug, Clone, Default)]
pub struct VolatileCalls(Option<Arc<Mutex<BTreeSet<&'static str>>>>);

impl VolatileCalls {
    /// One that notes calls.
    pub fn watched() -> Self {
        VolatileCalls(Some(Arc::default()))
    }

    /// The names of the functions that were called so far, in order.
    pub fn names(&self) -> Vec<&'static str> {
        let calls = self.0.iter().flat_map(|calls| {
            calls.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect::<Vec<_>>()
        });
        calls.collect()
    }

    /// Notes a call of `name`, if it is such a function.
    pub(super) fn note(&self, name: &str) {
        let Some(calls) = &self.0 else { return };
        if let Some(name) = VOLATILE.iter().find(|one| **one == name) {
            calls.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        }
    }
}
