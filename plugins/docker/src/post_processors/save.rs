//! docker-save: writes an image, with its layers and configuration, to a tar file.

use std::path::Path;
use std::sync::Arc;

use ingot_sdk::{
    Artifact, Config, ConfigError, ConfigErrors, Error, GeneratedData, PostProcessor,
    PrepareContext, Prepared, Processed, Result, RunContext, Schema, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::check_image;
use crate::engine::{Engine, check_docker_path};
use crate::save::save_stream;

/// The options of docker-save.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
struct SaveConfig {
    /// The tar file to write.
    path: Option<String>,
    /// See the docker builder's option.
    docker_path: Option<String>,
}

/// Writes an image to a tar file.
#[derive(Default)]
pub struct DockerSave {
    config: SaveConfig,
    podman: bool,
}

#[async_trait]
impl PostProcessor for DockerSave {
    fn schema(&self) -> Schema {
        Schema::of::<SaveConfig>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.config = config.decode()?;
        self.podman = check_docker_path(self.config.docker_path.as_deref())?;
        if self.config.path.as_deref().unwrap_or_default().is_empty() {
            let error = ConfigError::new("`path`, the file to write, is missing");
            return Err(error.related(["path"]).into());
        }
        Ok(Prepared::default())
    }

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
            saved = save_stream(ctx, &label, stream, path) => {
                saved?;
            }
        }
        ctx.ui.message(format!("Saved to: {}", path.display()));
        Ok(Processed { artifact: Some(artifact), keep_input: true, force_keep_input: false })
    }
}
