//! The images of states, and the image that a build starts from.

use bollard::models::ImageInspect;
use ingot_sdk::StateKey;

use super::layer::EMPTY_LAYER;
use crate::engine::Engine;

/// The repository of the names of states.
pub(crate) const REPOSITORY: &str = "ingot-cache";

/// The name of the state of `key`.
pub(super) fn name_of(key: &StateKey) -> String {
    format!("{REPOSITORY}:{key}")
}

/// Whether a name is one of a state.
pub(crate) fn is_a_state(name: &str) -> bool {
    name.split([':', '@']).next() == Some(REPOSITORY)
}

/// The comment in the image of a state.
pub(super) fn comment_of(key: &StateKey, base: &str) -> String {
    format!("ingot state {key} of {base}")
}

/// What the image that a build starts from tells about its states.
#[derive(Debug, Clone, Default)]
pub(crate) struct BaseImage {
    /// What tells it from every other, on every Engine: its id, or more where that is not enough.
    pub id: String,
    pub(super) layers: Vec<String>,
    /// Its system, architecture and variant.
    pub(super) platform: [String; 3],
    /// Where it has volumes.
    pub(super) volumes: Vec<String>,
}

impl From<&ImageInspect> for BaseImage {
    fn from(found: &ImageInspect) -> Self {
        let config = found.config.as_ref();
        let id = found.id.clone().unwrap_or_default();
        let (layers, platform) = (layers(found), platform(found));
        let id = match is_index(found) {
            // With the image store of containerd, an image for several platforms has one id.
            true => {
                let all = [id, platform.join("/")].into_iter().chain(layers.iter().cloned());
                StateKey::of("docker base 1", all).to_string()
            }
            false => id,
        };
        let volumes = config.and_then(|config| config.volumes.clone()).unwrap_or_default();
        BaseImage { id, layers, platform, volumes }
    }
}

/// Whether the id of an image is that of a list of images, one for each platform.
fn is_index(found: &ImageInspect) -> bool {
    let media_type = found.descriptor.as_ref().and_then(|target| target.media_type.as_deref());
    media_type.is_some_and(|media_type| media_type.contains("index") || media_type.contains("list"))
}

pub(super) fn layers(found: &ImageInspect) -> Vec<String> {
    found.root_fs.as_ref().and_then(|root| root.layers.clone()).unwrap_or_default()
}

fn platform(found: &ImageInspect) -> [String; 3] {
    [&found.os, &found.architecture, &found.variant].map(|part| part.clone().unwrap_or_default())
}

/// Whether a state can be of a base: Engines with the image store of containerd leave the variant out
/// of what they commit.
fn same_platform(state: &[String; 3], base: &[String; 3]) -> bool {
    state[..2] == base[..2] && (state[2] == base[2] || state[2].is_empty())
}

/// The image of the state of `key`, if there is one that is what it says, and the layer that it adds to
/// its base. Engines with the image store of containerd add none where nothing was changed.
pub(super) async fn find(
    engine: &Engine,
    base: &BaseImage,
    key: &StateKey,
) -> Option<(String, String)> {
    let found = engine.ask(engine.api.inspect_image(&name_of(key))).await.ok()?;
    let layers = layers(&found);
    let added = layers.strip_prefix(base.layers.as_slice());
    let is_it = found.comment.as_deref() == Some(&comment_of(key, &base.id))
        && same_platform(&platform(&found), &base.platform);
    match added {
        Some([layer]) if is_it => Some((found.id?, layer.clone())),
        Some([]) if is_it => Some((found.id?, EMPTY_LAYER.to_owned())),
        _ => {
            tracing::warn!(%key, "an image is named as a state of the step cache, and is none");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::{ImageInspectRootFs, OciDescriptor};

    use super::*;

    fn image(media_type: &str, architecture: &str, layer: &str) -> ImageInspect {
        ImageInspect {
            id: Some("sha256:1".to_owned()),
            descriptor: Some(OciDescriptor {
                media_type: Some(media_type.to_owned()),
                ..OciDescriptor::default()
            }),
            os: Some("linux".to_owned()),
            architecture: Some(architecture.to_owned()),
            root_fs: Some(ImageInspectRootFs {
                layers: Some(vec![layer.to_owned()]),
                ..ImageInspectRootFs::default()
            }),
            ..ImageInspect::default()
        }
    }

    #[test]
    fn an_index_is_compared_by_the_local_platform() {
        let index = "application/vnd.oci.image.index.v1+json";
        let id = |image: &ImageInspect| BaseImage::from(image).id;
        let amd64 = id(&image(index, "amd64", "a"));
        assert_eq!(amd64, id(&image(index, "amd64", "a")));
        assert_ne!(amd64, id(&image(index, "arm64", "a")));
        assert_ne!(amd64, id(&image(index, "amd64", "b")));
        let list = "application/vnd.docker.distribution.manifest.list.v2+json";
        assert_eq!(id(&image(list, "amd64", "a")), amd64);
        let manifest = image("application/vnd.oci.image.manifest.v1+json", "amd64", "a");
        assert_eq!(id(&manifest), "sha256:1");
        assert_eq!(id(&ImageInspect { descriptor: None, ..manifest }), "sha256:1");
    }

    #[test]
    fn a_state_may_lack_the_variant_of_its_base() {
        let platform = |text: &str| {
            let mut parts = text.split('/').map(str::to_owned);
            [(); 3].map(|()| parts.next().unwrap_or_default())
        };
        let same = |state: &str, base: &str| same_platform(&platform(state), &platform(base));
        assert!(same("linux/arm64/v8", "linux/arm64/v8") && same("linux/arm64", "linux/arm64/v8"));
        assert!(!same("linux/arm/v6", "linux/arm/v7") && !same("linux/arm64/v8", "linux/arm64"));
        assert!(!same("linux/amd64", "linux/arm64/v8"));
    }
}
