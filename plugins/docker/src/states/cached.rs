//! The states that are kept, for those who list and remove them.

use std::collections::HashMap;
use std::path::Path;

use bollard::query_parameters::ListImagesOptionsBuilder;
use ingot_sdk::{
    Result, StateDirectories, StateKey, StateStore, StoredState, StoredStates, async_trait,
};
use ingot_shared_states::merged;

use super::image::{REPOSITORY, name_of};
use super::shared;
use crate::engine::{Engine, EngineContext};
use crate::reclaim::remove_image;

/// The images of the states, on the Engine that the environment names, and their files in the directory
/// that machines share.
pub(crate) struct CachedImages;

#[async_trait]
impl StateStore for CachedImages {
    fn builder(&self) -> &'static str {
        "docker"
    }

    async fn list(&self, owner: &str, directories: &StateDirectories) -> Result<StoredStates> {
        Ok(cached_images(owner, directories.shared.as_deref()).await?.into())
    }

    async fn remove(&self, key: &StateKey, directories: &StateDirectories) -> Result<()> {
        remove_cached_image(key, directories.shared.as_deref()).await
    }
}

/// The states on the Engine that the environment names, and in the directory that machines share, whose
/// keys begin with `owner`.
///
/// # Errors
/// The Engine cannot be reached, or does not tell; or the directory cannot be read.
async fn cached_images(owner: &str, directory: Option<&Path>) -> Result<Vec<StoredState>> {
    let shared = directory.map(|directory| shared::states(directory).list(owner)).transpose()?;
    let images = match on_engine(owner).await {
        // A machine that only looks after the directory needs no Engine.
        Err(error) if shared.as_ref().is_some_and(|shared| !shared.is_empty()) => {
            tracing::info!(%error, "the states on the Engine are not listed");
            Vec::new()
        }
        images => images?,
    };
    Ok(merged(images, shared.into_iter().flatten()))
}

async fn on_engine(owner: &str) -> Result<Vec<StoredState>> {
    let engine = Engine::connect(false).await?;
    let filters = HashMap::from([("reference", vec![format!("{REPOSITORY}:{owner}*")])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let found = engine.while_alive(engine.api.list_images(Some(options))).await?;
    let found = found.doing("listing the states of the step cache")?;
    let mut kept = Vec::new();
    for image in found {
        let tags = image.repo_tags.iter().filter_map(|name| name.strip_prefix(REPOSITORY));
        let keys = tags.filter_map(|tag| tag.strip_prefix(':')?.parse::<StateKey>().ok());
        let keys: Vec<StateKey> = keys.filter(|key| key.as_str().starts_with(owner)).collect();
        if keys.is_empty() {
            continue;
        }
        // The layer on top of what it was started from is the first.
        let history = engine.ask(engine.api.image_history(&image.id)).await.unwrap_or_default();
        let bytes = history.first().map_or(image.size, |layer| layer.size);
        let bytes = u64::try_from(bytes).unwrap_or_default();
        let created = image.created;
        kept.extend(keys.into_iter().map(|key| StoredState { key, created, bytes }));
    }
    Ok(kept)
}

/// Removes the state of `key` from the directory that machines share, and from the Engine that the
/// environment names. One that is not there is fine.
///
/// # Errors
/// The Engine cannot be reached, or does not do it; or the directory cannot be written.
async fn remove_cached_image(key: &StateKey, directory: Option<&Path>) -> Result<()> {
    let shared = directory.map(|directory| shared::states(directory).remove(key)).transpose();
    match Engine::connect(false).await {
        Ok(engine) => remove_image(&engine, &name_of(key)).await?,
        Err(error) if directory.is_none() => return Err(error),
        Err(error) => tracing::info!(%error, "no state is removed from the Engine"),
    }
    shared.map(drop)
}
