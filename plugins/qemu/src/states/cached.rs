//! The states that are kept, for those who list and remove them.

use std::path::Path;

use ingot_sdk::{
    Result, StateDirectories, StateKey, StateStore, StoredState, StoredStates, async_trait,
};
use ingot_shared_states::merged;

use super::{shared, store};

/// The disks with the states, in the cache directory, and their files in the directory that machines share.
pub(crate) struct CachedDisks;

#[async_trait]
impl StateStore for CachedDisks {
    fn builder(&self) -> &'static str {
        "qemu"
    }

    async fn list(&self, owner: &str, directories: &StateDirectories) -> Result<StoredStates> {
        Ok(cached_states(owner, directories.shared.as_deref())?.into())
    }

    fn unfreed(&self, owner: &str) -> Result<u64> {
        store::unfreed(owner)
    }

    async fn remove(&self, key: &StateKey, directories: &StateDirectories) -> Result<()> {
        remove_cached_state(key, directories.shared.as_deref()).await
    }
}

/// The states in the cache of this machine, and in the directory that machines share, whose keys begin
/// with `owner`.
///
/// # Errors
/// The cache or the directory cannot be read.
fn cached_states(owner: &str, directory: Option<&Path>) -> Result<Vec<StoredState>> {
    let shared = directory.map(|directory| shared::states(directory).list(owner)).transpose()?;
    Ok(merged(store::list(owner)?, shared.into_iter().flatten()))
}

/// Removes the state of `key` from the directory that machines share, and from the cache of this machine.
/// One that is not there is fine. Where it is in one disk with others, room is freed later: see
/// [`StateStore::unfreed`].
///
/// # Errors
/// It may still be there.
async fn remove_cached_state(key: &StateKey, directory: Option<&Path>) -> Result<()> {
    let shared = directory.map(|directory| shared::states(directory).remove(key)).transpose();
    store::remove(key).await?;
    shared.map(drop)
}
