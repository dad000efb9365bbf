//! The images of states, and the image that a build starts from.

use bollard::models::ImageInspect;
use ingot_sdk::StateKey;

use crate::engine::Engine;

/// The repository of the names of states.
pub(crate) const REPOSITORY: &str = "ingot-cache";

/// The name of the state of `key`.
pub(super) fn name_of(key: &StateKey) -> String {
    format!("{REPOSITORY}:{key}")
}

/// Whether a name is one of a state.
pub(crate) fn is_a_state(name: &str) -> bool {
    name.split(':').next() == Some(REPOSITORY)
}

/// The comment in the image of a state.
pub(super) fn comment_of(key: &StateKey, base: &str) -> String {
    format!("ingot state {key} of {base}")
}

/// What the image that a build starts from tells about its states.
#[derive(Debug, Clone, Default)]
pub(crate) struct BaseImage {
    /// Its id.
    pub id: String,
    pub(super) layers: Vec<String>,
    pub(super) platform: String,
    /// Where it has volumes.
    pub(super) volumes: Vec<String>,
}

impl From<&ImageInspect> for BaseImage {
    fn from(found: &ImageInspect) -> Self {
        let config = found.config.as_ref();
        BaseImage {
            id: found.id.clone().unwrap_or_default(),
            layers: layers(found),
            platform: platform(found),
            volumes: config.and_then(|config| config.volumes.clone()).unwrap_or_default(),
        }
    }
}

pub(super) fn layers(found: &ImageInspect) -> Vec<String> {
    found.root_fs.as_ref().and_then(|root| root.layers.clone()).unwrap_or_default()
}

fn platform(found: &ImageInspect) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}/{}", part(&found.os), part(&found.architecture), part(&found.variant))
}

/// The image of the state of `key`, if there is one that is what it says, and the layer that it adds to
/// its base.
pub(super) async fn find(
    engine: &Engine,
    base: &BaseImage,
    key: &StateKey,
) -> Option<(String, String)> {
    let found = engine.api.inspect_image(&name_of(key)).await.ok()?;
    let layers = layers(&found);
    let added = layers.strip_prefix(base.layers.as_slice());
    let is_it = found.comment.as_deref() == Some(&comment_of(key, &base.id))
        && platform(&found) == base.platform;
    match added {
        Some([layer]) if is_it => Some((found.id?, layer.clone())),
        _ => {
            tracing::warn!(%key, "an image is named as a state of the step cache, and is none");
            None
        }
    }
}
