//! The states that are kept, for those who list and remove them.

use std::path::Path;

use ingot_sdk::{Result, StateKey};
use ingot_shared_states::{StoredState, merged};

use super::{shared, store};

/// The states in the cache of this machine, and in the directory that machines share, whose keys begin
/// with `owner`.
///
/// # Errors
/// The cache or the directory cannot be read.
pub fn cached_states(owner: &str, directory: Option<&Path>) -> Result<Vec<StoredState>> {
    let shared = directory.map(|directory| shared::states(directory).list(owner)).transpose()?;
    Ok(merged(store::list(owner)?, shared.into_iter().flatten()))
}

/// How many bytes are on the disk of this machine for states that are not kept any more, in disks with
/// states whose keys begin with `owner`. The next build that starts from such a disk leaves them out.
///
/// # Errors
/// The cache cannot be read.
pub fn unfreed_bytes(owner: &str) -> Result<u64> {
    store::unfreed(owner)
}

/// Removes the state of `key` from the directory that machines share, and from the cache of this machine.
/// One that is not there is fine. Where it is in one disk with others, room is freed later: see
/// [`unfreed_bytes`].
///
/// # Errors
/// It may still be there.
pub async fn remove_cached_state(key: &StateKey, directory: Option<&Path>) -> Result<()> {
    let shared = directory.map(|directory| shared::states(directory).remove(key)).transpose();
    store::remove(key).await?;
    shared.map(drop)
}
