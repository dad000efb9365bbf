//! The journal of a build that is kept when it fails, or was.

use std::sync::Arc;

use ingot_sdk::{Journal, Resource, Result};

use super::keeper::{ADOPTED, Keeper};

impl Keeper {
    /// The build's journal, with what the keeper knows of what was left before.
    pub(crate) fn journal(self: &Arc<Self>) -> Arc<dyn Journal> {
        let inner = Arc::clone(self.own_journal()) as Arc<dyn Journal>;
        match self.has_records() {
            true => Arc::new(KeptJournal { inner, keeper: Arc::clone(self) }),
            false => inner,
        }
    }
}

/// Records what the build creates, but what it takes over from an earlier one, which that one's record
/// has.
struct KeptJournal {
    inner: Arc<dyn Journal>,
    keeper: Arc<Keeper>,
}

impl Journal for KeptJournal {
    fn record(&self, resource: &Resource) -> Result<u64> {
        match self.keeper.adopt(resource) {
            Some(record) => Ok(record),
            None => self.inner.record(resource),
        }
    }

    fn resolve(&self, record: u64) {
        match record >= ADOPTED {
            true => self.keeper.resolve(record),
            false => self.inner.resolve(record),
        }
    }

    fn amend(&self, record: u64, resource: &Resource) {
        if record < ADOPTED {
            self.inner.amend(record, resource);
        }
    }

    fn note(&self, name: &str, value: &str) {
        self.inner.note(name, value);
    }

    fn release(&self) {
        self.keeper.release(&*self.inner);
    }
}
