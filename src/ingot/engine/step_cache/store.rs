//! Where builders keep states, for those who list and remove them.

use async_trait::async_trait;
use ingot_sdk::{Error, Result, StateKey};
pub use ingot_shared_states::StoredState;

/// The states of one type of builder.
#[derive(Default)]
pub struct StoredStates {
    /// Those that are there.
    pub states: Vec<StoredState>,
    /// Why others cannot be read.
    pub unreadable: Vec<Error>,
}

impl From<Vec<StoredState>> for StoredStates {
    fn from(states: Vec<StoredState>) -> StoredStates {
        StoredStates { states, unreadable: Vec::new() }
    }
}

/// The states that one type of builder keeps.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// The type of the builder.
    fn builder(&self) -> &'static str;

    /// The states whose keys begin with `owner`.
    ///
    /// # Errors
    /// What keeps them cannot be asked.
    async fn list(&self, owner: &str) -> Result<StoredStates>;

    /// Whether states take room on a disk here: on this machine, or in the directory that machines
    /// share.
    fn is_local(&self) -> bool {
        true
    }

    /// How many bytes on disks here are of states that are not kept any more, as they are in one file
    /// with states that are, whose keys begin with `owner`.
    ///
    /// # Errors
    /// What keeps them cannot be asked.
    fn unfreed(&self, _owner: &str) -> Result<u64> {
        Ok(0)
    }

    /// Removes the state of `key`. One that is not there is fine.
    ///
    /// # Errors
    /// It may still be there.
    async fn remove(&self, key: &StateKey) -> Result<()>;
}
