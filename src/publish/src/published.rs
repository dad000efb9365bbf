//! What is published of a build's artifact, and the artifact that publishing leaves.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use ingot_sdk::{Artifact, Error, REGISTRY_VERSION, RegistryImage, RegistryVersion, Result};

/// The images of all artifacts.
///
/// # Errors
/// There are none, or one has no name to be found by.
pub(super) fn images_of(artifacts: &[Arc<dyn Artifact>]) -> Result<Vec<RegistryImage>> {
    let images: Vec<RegistryImage> =
        artifacts.iter().flat_map(|artifact| artifact.images()).collect();
    if images.iter().any(|image| image.id.is_empty() || image.provider.is_empty()) {
        return Err(Error::new("an image has no id or no provider; this is a bug in its plugin"));
    }
    if images.is_empty() {
        return Err(Error::new(
            "the build created nothing that can be published: no image or file",
        )
        .hint("keep the builder's artifact with keep_input_artifact = true"));
    }
    Ok(images)
}

/// What stands for a publication among a build's artifacts.
pub(super) struct Published {
    /// Its description.
    pub text: String,
    /// Where it is.
    pub version: RegistryVersion,
}

#[async_trait]
impl Artifact for Published {
    fn builder_id(&self) -> &str {
        // Packer's, with its slip.
        "packer.post-processor.hpc-packer-registry"
    }

    fn id(&self) -> String {
        String::new()
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn description(&self) -> String {
        self.text.clone()
    }

    fn state(&self, name: &str) -> Option<serde_json::Value> {
        (name == REGISTRY_VERSION).then(|| serde_json::to_value(&self.version).ok())?
    }

    async fn destroy(&self) -> Result<()> {
        Ok(())
    }
}
