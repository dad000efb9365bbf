//! Where the builders of this program keep the states of the step cache.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use ingot_sdk::{Result, StateKey};

use crate::engine::step_cache::{StateStore, StoredState};

/// All of them. `shared` is the directory by which machines share states, if they do; in `records` it
/// is written down where states are that are neither there nor on this machine.
pub fn state_stores(shared: Option<PathBuf>, records: &Path) -> Vec<Box<dyn StateStore>> {
    vec![
        Box::new(DockerImages { shared: shared.clone() }),
        Box::new(QemuDisks { shared }),
        #[cfg(feature = "amazon")]
        Box::new(Amis { records: records.to_owned() }),
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

    async fn list(&self, owner: &str) -> Result<Vec<StoredState>> {
        ingot_docker::kept_images(owner, self.shared.as_deref()).await
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        ingot_docker::remove_kept_image(key, self.shared.as_deref()).await
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

    async fn list(&self, owner: &str) -> Result<Vec<StoredState>> {
        ingot_qemu::kept_states(owner, self.shared.as_deref())
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        ingot_qemu::remove_kept_state(key, self.shared.as_deref()).await
    }
}

/// The AMIs of the builder `amazon-ebs`, as far as this user's records tell of them: nobody asks AWS
/// before one is removed.
#[cfg(feature = "amazon")]
struct Amis {
    records: PathBuf,
}

#[cfg(feature = "amazon")]
#[async_trait]
impl StateStore for Amis {
    fn builder(&self) -> &'static str {
        "amazon-ebs"
    }

    async fn list(&self, owner: &str) -> Result<Vec<StoredState>> {
        let images = ingot_amazon::kept_images(&self.records, owner)?.into_iter();
        Ok(images
            .map(|image| StoredState { key: image.key, created: image.created, bytes: image.bytes })
            .collect())
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        ingot_amazon::remove_kept_image(&self.records, key).await
    }
}
