//! docker-save: writes an image, with its layers and configuration, to a tar file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::{
    Artifact, Component, ConfigError, ConfigErrors, Decoded, Error, GeneratedData, PostProcess,
    PrepareContext, Prepared, Processed, RegistryImage, Resource, Result, RunContext, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::check_image;
use crate::engine::{Engine, check_docker_path};
use crate::save::save_stream;

/// The options of docker-save.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct SaveConfig {
    /// The tar file to write.
    path: Option<String>,
    /// See the docker builder's option.
    docker_path: Option<String>,
}

/// `post-processor "docker-save"`
#[derive(Default)]
pub struct DockerSave;

/// Writes an image to a tar file.
pub struct Save {
    config: SaveConfig,
    podman: bool,
}

impl Component for DockerSave {
    const NAME: &'static str = "docker-save";
    type Options = SaveConfig;
    type Ready = Save;

    fn prepare(
        &self,
        Decoded { options: config, .. }: Decoded<'_, SaveConfig>,
        _: &PrepareContext,
    ) -> Result<Prepared<Save>, ConfigErrors> {
        let podman = check_docker_path(config.docker_path.as_deref())?;
        if config.path.as_deref().unwrap_or_default().is_empty() {
            let error = ConfigError::new("`path`, the file to write, is missing");
            return Err(error.related(["path"]).into());
        }
        Ok(Prepared::new(Save { config, podman }))
    }
}

#[async_trait]
impl PostProcess for Save {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        _: &GeneratedData,
    ) -> Result<Processed> {
        check_image(&*artifact, "docker-save")?;
        let engine = Engine::connect(self.podman).await?;
        let path = Path::new(self.config.path.as_deref().unwrap_or_default());
        let id = artifact.id();
        ctx.ui.message(format!("Saving image: {id}"));
        let label = format!("Saving to {}", path.display());
        let stream = Box::pin(engine.api.export_image(&id));
        tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
            saved = engine.while_alive(save_stream(ctx, &label, stream, path)) => {
                saved??;
            }
        }
        ctx.ui.message(format!("Saved to: {}", path.display()));
        Ok(Processed {
            artifact: Some(Arc::new(Saved(artifact))),
            keep_input: true,
            force_keep_input: false,
        })
    }
}

/// The image that was saved. It is another artifact than the one that was given, so that
/// `keep_input_artifact = false` removes that, as in Packer, and leaves the file alone.
struct Saved(Arc<dyn Artifact>);

#[async_trait]
impl Artifact for Saved {
    fn builder_id(&self) -> &str {
        self.0.builder_id()
    }

    fn id(&self) -> String {
        self.0.id()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.0.files()
    }

    fn description(&self) -> String {
        self.0.description()
    }

    fn state(&self, name: &str) -> Option<Value> {
        self.0.state(name)
    }

    fn size(&self) -> Option<u64> {
        self.0.size()
    }

    fn images(&self) -> Vec<RegistryImage> {
        self.0.images()
    }

    fn resources(&self) -> Vec<Resource> {
        self.0.resources()
    }

    fn processed(&self) {
        self.0.processed();
    }

    async fn destroy(&self) -> Result<()> {
        self.0.destroy().await
    }
}
