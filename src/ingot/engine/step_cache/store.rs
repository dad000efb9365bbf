//! Where builders keep states, for those who list and remove them.

use async_trait::async_trait;
use ingot_sdk::{Result, StateKey};
pub use ingot_shared_states::StoredState;

/// The states that one type of builder keeps.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// The type of the builder.
    fn builder(&self) -> &'static str;

    /// The states whose keys begin with `owner`.
    ///
    /// # Errors
    /// What keeps them cannot be asked.
    async fn list(&self, owner: &str) -> Result<Vec<StoredState>>;

    /// Removes the state of `key`. One that is not there is fine.
    ///
    /// # Errors
    /// It may still be there.
    async fn remove(&self, key: &StateKey) -> Result<()>;
}
