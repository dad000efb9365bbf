//! Where builders keep states, for those who list and remove them.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::{Error, Result, StateKey};

/// A state that is kept: by a builder on this machine, in the directory that machines share, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredState {
    /// Its key.
    pub key: StateKey,
    /// When it was kept, in seconds since 1970.
    pub created: i64,
    /// How many bytes it takes by itself.
    pub bytes: u64,
}

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

/// The directories of the step cache that builders keep states in, besides their own.
#[derive(Debug, Clone)]
pub struct StateDirectories {
    /// The one by which machines share states, if they do.
    pub shared: Option<PathBuf>,
    /// The one in which it is written down where states are that are neither there nor on this machine.
    pub records: PathBuf,
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
    async fn list(&self, owner: &str, directories: &StateDirectories) -> Result<StoredStates>;

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
    async fn remove(&self, key: &StateKey, directories: &StateDirectories) -> Result<()>;
}
