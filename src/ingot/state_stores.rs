//! Where the builders of this program keep the states of the step cache.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use ingot_sdk::{Result, StateKey};

#[cfg(feature = "amazon")]
use crate::engine::step_cache::StoredState;
use crate::engine::step_cache::{StateStore, StoredStates};

/// All of them. `shared` is the directory by which machines share states, if they do; in `records` it
/// is written down where states are that are neither there nor on this machine.
pub fn state_stores(shared: Option<PathBuf>, records: &Path) -> Vec<Box<dyn StateStore>> {
    #[cfg(feature = "amazon")]
    let amis = Amis { records: records.to_owned(), own: shared.is_none() };
    vec![
        Box::new(DockerImages { shared: shared.clone() }),
        Box::new(QemuDisks { shared }),
        #[cfg(feature = "amazon")]
        Box::new(amis),
    ]
}

/// The images of the builder `docker`, on the Engine that the environment names, and their files in the
/// directory that machines share.
struct DockerImages {
    shared: Option<PathBuf>,
}

#[async_trait]
impl StateStore for DockerImages {
    fn builder(&self) -> &'static str {
        "docker"
    }

    async fn list(&self, owner: &str) -> Result<StoredStates> {
        Ok(ingot_docker::cached_images(owner, self.shared.as_deref()).await?.into())
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        ingot_docker::remove_cached_image(key, self.shared.as_deref()).await
    }
}

/// The disks of the builder `qemu`, in the cache directory, and their files in the directory that machines
/// share.
struct QemuDisks {
    shared: Option<PathBuf>,
}

#[async_trait]
impl StateStore for QemuDisks {
    fn builder(&self) -> &'static str {
        "qemu"
    }

    async fn list(&self, owner: &str) -> Result<StoredStates> {
        Ok(ingot_qemu::cached_states(owner, self.shared.as_deref())?.into())
    }

    fn unfreed(&self, owner: &str) -> Result<u64> {
        ingot_qemu::unfreed_bytes(owner)
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        ingot_qemu::remove_cached_state(key, self.shared.as_deref()).await
    }
}

/// The AMIs of the builder `amazon-ebs` that have a record: AWS is not asked before one is removed.
#[cfg(feature = "amazon")]
struct Amis {
    records: PathBuf,
    /// Whether nobody but the user writes them.
    own: bool,
}

#[cfg(feature = "amazon")]
#[async_trait]
impl StateStore for Amis {
    fn builder(&self) -> &'static str {
        "amazon-ebs"
    }

    async fn list(&self, owner: &str) -> Result<StoredStates> {
        let (images, unreadable) = ingot_amazon::cached_images(&self.records, owner)?;
        let stored = |image: ingot_amazon::CachedImage| StoredState {
            key: image.key,
            created: image.created,
            bytes: image.bytes,
        };
        Ok(StoredStates { states: images.into_iter().map(stored).collect(), unreadable })
    }

    fn is_local(&self) -> bool {
        false
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        ingot_amazon::remove_cached_image(&self.records, self.own, key).await
    }
}
