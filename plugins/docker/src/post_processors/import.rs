//! docker-import: makes an image out of an exported container.

use std::sync::Arc;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use ingot_sdk::{
    Artifact, Component, ConfigErrors, Context, Decoded, Error, GeneratedData, PostProcess,
    PrepareContext, Prepared, Processed, Result, RunContext, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::io::ReaderStream;

use super::data_of;
use crate::artifact::{ARTIFICE, EXPORTED, IMPORTED, ImageArtifact};
use crate::engine::{Engine, EngineContext, check_docker_path};
use crate::platform;

/// The options of docker-import.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ImportConfig {
    /// The image's name without its tag.
    repository: Option<String>,
    /// The image's tag.
    tag: Option<String>,
    /// Dockerfile instructions to apply, such as `CMD` or `ENV`.
    #[serde(default)]
    changes: Vec<String>,
    /// The platform of the file system, where it is not the Engine's.
    platform: Option<String>,
    /// See the docker builder's option.
    docker_path: Option<String>,
}

/// `post-processor "docker-import"`
#[derive(Default)]
pub struct DockerImport;

/// Makes an image out of an exported container.
pub struct Import {
    config: ImportConfig,
    podman: bool,
}

impl Component for DockerImport {
    const NAME: &'static str = "docker-import";
    type Options = ImportConfig;
    type Ready = Import;

    fn prepare(
        &self,
        Decoded { options: config, .. }: Decoded<'_, ImportConfig>,
        _: &PrepareContext,
    ) -> Result<Prepared<Import>, ConfigErrors> {
        let podman = check_docker_path(config.docker_path.as_deref())?;
        Ok(Prepared::new(Import { config, podman }))
    }
}

#[async_trait]
impl PostProcess for Import {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        _: &GeneratedData,
    ) -> Result<Processed> {
        let kind = artifact.builder_id();
        if kind != EXPORTED && kind != ARTIFICE {
            return Err(Error::new(format!(
                "Unknown artifact type: {kind}. docker-import takes exported containers and \
                 artifacts of artifice"
            ))
            .hint("with commit = true the docker builder has created an image already"));
        }
        let files = artifact.files();
        let path = files.first().ok_or_else(|| Error::new("the artifact has no file to import"))?;
        let mut name = self.config.repository.clone().unwrap_or_default();
        if let Some(tag) = self.config.tag.as_deref().filter(|tag| !tag.is_empty()) {
            name = format!("{name}:{tag}");
        }
        ctx.ui.message(format!("Importing image: {}", artifact.id()));
        ctx.ui.message(format!("Repository: {name}"));
        let engine = Engine::connect(self.podman).await?;
        let file = tokio::fs::File::open(path)
            .await
            .with_context(|| format!("reading {}", path.display()))?;
        // The tag goes with the name: the API's own `tag` is ignored for imports.
        let mut options = CreateImageOptionsBuilder::new().from_src("-").repo(&name);
        if !self.config.changes.is_empty() {
            options = options.changes(self.config.changes.clone());
        }
        if let Some(platform) = platform::requested(self.config.platform.as_deref(), self.podman) {
            options = options.platform(&platform);
        }
        let body = bollard::body_try_stream(ReaderStream::with_capacity(file, 256 * 1024));
        let import = async {
            let mut id = None;
            let mut lines = engine.api.create_image(Some(options.build()), Some(body), None);
            while let Some(line) = lines.next().await {
                let line = line.doing(format_args!("importing {}", path.display()))?;
                // The only line with a status is the new image's id.
                id = line.status.filter(|status| status.starts_with("sha256:")).or(id);
            }
            id.ok_or_else(|| Error::new("the Engine did not say what it imported"))
        };
        let id = tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
            id = engine.while_alive(import) => id??,
        };
        ctx.ui.message(format!("Imported ID: {id}"));
        let mut data = data_of(&*artifact);
        data.insert("ImageSha256".to_owned(), json!(id));
        let id = if name.is_empty() { id } else { name };
        let (builder_id, tags, size) = (IMPORTED, Vec::new(), None);
        let imported = ImageArtifact { engine, builder_id, id, tags, size, data, shared: false };
        Ok(Processed {
            artifact: Some(Arc::new(imported)),
            keep_input: false,
            force_keep_input: false,
        })
    }
}
