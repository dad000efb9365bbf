//! An artifact of this side, as a plugin's post-processor sees it.

use std::sync::Arc;

use ingot_sdk::{Artifact, RegistryImage};
use rmpv::Value;

use crate::message::{from_json, record, text};
use crate::rpc::{done, unknown_method};

/// The state that tells an image registry what an artifact's images are.
pub(crate) const IMAGES: &str = "par.artifact.metadata";

/// Serves `Artifact.*`.
pub(crate) struct ArtifactService(pub Arc<dyn Artifact>);

impl ArtifactService {
    /// Runs `method`.
    ///
    /// # Errors
    /// The artifact could not be deleted, or there is no such method.
    pub(crate) async fn call(&self, method: &str, argument: &Value) -> Result<Value, String> {
        let artifact = &self.0;
        Ok(match method {
            "BuilderId" => artifact.builder_id().into(),
            "Id" => artifact.id().into(),
            "String" => artifact.description().into(),
            "Files" => Value::Array(
                artifact.files().iter().map(|path| path.to_string_lossy().into()).collect(),
            ),
            "State" => match text(argument).as_str() {
                IMAGES => Value::Array(artifact.images().iter().map(image).collect()),
                name => artifact.state(name).map_or(Value::Nil, |state| from_json(&state)),
            },
            "Destroy" => {
                artifact.destroy().await.map_err(|error| error.to_string())?;
                return done();
            }
            method => return unknown_method(&format!("Artifact.{method}")),
        })
    }
}

fn image(image: &RegistryImage) -> Value {
    let labels = image.labels.iter();
    record([
        ("ImageID", image.id.as_str().into()),
        ("ProviderName", image.provider.as_str().into()),
        ("ProviderRegion", image.region.as_str().into()),
        (
            "Labels",
            Value::Map(
                labels.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
            ),
        ),
        ("SourceImageID", image.source_id.as_deref().unwrap_or_default().into()),
    ])
}
