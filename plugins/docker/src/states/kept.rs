//! The states that are kept on an Engine, for those who list and remove them.

use std::collections::HashMap;

use bollard::query_parameters::ListImagesOptionsBuilder;
use ingot_sdk::{Result, StateKey};

use super::image::{REPOSITORY, name_of};
use crate::engine::{Engine, EngineContext};
use crate::reclaim::remove_image;

/// A state that is kept as an image.
#[derive(Debug, Clone)]
pub struct KeptImage {
    /// Its key.
    pub key: StateKey,
    /// When it was kept, in seconds since 1970.
    pub created: i64,
    /// How many bytes it adds to what it was started from.
    pub bytes: u64,
}

/// The states on the Engine that the environment names whose keys begin with `owner`.
///
/// # Errors
/// The Engine cannot be reached, or does not tell.
pub async fn kept_images(owner: &str) -> Result<Vec<KeptImage>> {
    let engine = Engine::connect(false).await?;
    let filters = HashMap::from([("reference", vec![format!("{REPOSITORY}:{owner}*")])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let found = engine.api.list_images(Some(options)).await;
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
        let history = engine.api.image_history(&image.id).await.unwrap_or_default();
        let bytes = history.first().map_or(image.size, |layer| layer.size);
        let bytes = u64::try_from(bytes).unwrap_or_default();
        let created = image.created;
        kept.extend(keys.into_iter().map(|key| KeptImage { key, created, bytes }));
    }
    Ok(kept)
}

/// Removes the state of `key` from the Engine that the environment names. One that is not there is
/// fine.
///
/// # Errors
/// The Engine does not do it, as where a container runs on it.
pub async fn remove_kept_image(key: &StateKey) -> Result<()> {
    let engine = Engine::connect(false).await?;
    remove_image(&engine, &name_of(key)).await
}
