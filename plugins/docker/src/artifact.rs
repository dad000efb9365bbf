//! What docker builds leave behind.

use std::path::PathBuf;

use ingot_sdk::output_file::CreatedDirectories;
use ingot_sdk::{Artifact, GeneratedData, RegistryImage, Resource, Result, async_trait};
use serde_json::{Value, json};

use crate::engine::{Engine, EngineContext, status, text_of};
use crate::reclaim::{image_resource, only_the_image};

/// The builder id of exported containers, and of the builder itself.
pub(crate) const EXPORTED: &str = "packer.docker";
/// The builder id of images: the builder's commits, and what docker-import and docker-push
/// make.
pub(crate) const IMPORTED: &str = "packer.post-processor.docker-import";
/// The builder id of what docker-tag makes.
pub(crate) const TAGGED: &str = "packer.post-processor.docker-tag";
/// The builder id of what the artifice post-processor makes.
pub(crate) const ARTIFICE: &str = "packer.post-processor.artifice";

/// An image on an Engine.
pub(crate) struct ImageArtifact {
    /// Where the image is.
    pub engine: Engine,
    /// See [`Artifact::builder_id`].
    pub builder_id: &'static str,
    /// The image's id (`sha256:…`), or the name that a post-processor gave it.
    pub id: String,
    /// The names that docker-tag gave it.
    pub tags: Vec<String>,
    /// How many bytes its layers take, where that is known.
    pub size: Option<u64>,
    /// What the build learnt about it.
    pub data: GeneratedData,
    /// Whether it is also the artifact of an earlier build, which it stays.
    pub shared: bool,
}

#[async_trait]
impl Artifact for ImageArtifact {
    fn builder_id(&self) -> &str {
        self.builder_id
    }

    fn id(&self) -> String {
        self.id.clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn description(&self) -> String {
        if self.tags.is_empty() {
            format!("Imported Docker image: {}", self.id)
        } else {
            format!("Imported Docker image: {} with tags {}", self.id, self.tags.join(" "))
        }
    }

    fn size(&self) -> Option<u64> {
        self.size
    }

    fn state(&self, name: &str) -> Option<Value> {
        match name {
            "docker_tags" => Some(json!(self.tags)),
            "generated_data" => Some(json!(self.data)),
            _ => None,
        }
    }

    /// The image as a registry records it. A committed image has no digest before it is pushed,
    /// so its id identifies it; the digest goes along as a label once there is one.
    fn images(&self) -> Vec<RegistryImage> {
        let text = |name: &str| text_of(self.data.get(name));
        let mut image = RegistryImage {
            provider: "docker".to_owned(),
            region: "docker".to_owned(),
            id: self.id.clone(),
            source_id: Some(text("SourceImageSha256")).filter(|id| !id.is_empty()),
            labels: [
                ("PackerArtifactID".to_owned(), self.id.clone()),
                ("ImageSha256".to_owned(), text("ImageSha256")),
                ("SourceImageDigest".to_owned(), text("SourceImageDigest")),
            ]
            .into(),
        };
        if !text("ImageSha256").is_empty() {
            image.id = text("ImageSha256");
        }
        if !text("Digest").is_empty() {
            image.labels.insert("ImageDigest".to_owned(), text("Digest"));
        }
        if !self.tags.is_empty() {
            image.labels.insert("tags".to_owned(), self.tags.join(","));
        }
        vec![image]
    }

    fn resources(&self) -> Vec<Resource> {
        match self.shared {
            true => Vec::new(),
            false => vec![image_resource(&self.engine, &self.id)],
        }
    }

    async fn destroy(&self) -> Result<()> {
        if self.shared {
            return Ok(());
        }
        let removing = self.engine.api.remove_image(&self.id, Some(only_the_image()), None);
        match self.engine.while_alive(removing).await? {
            Err(error) if status(&error) == Some(404) => Ok(()),
            result => result.map(drop).doing(format_args!("removing the image {}", self.id)),
        }
    }
}

/// A container exported to a file; or, with `discard`, one that left nothing.
pub(crate) struct ExportArtifact {
    /// The tar file.
    pub path: Option<PathBuf>,
    /// The directories that were created for it.
    pub created: CreatedDirectories,
    /// What the build learnt.
    pub data: GeneratedData,
}

#[async_trait]
impl Artifact for ExportArtifact {
    fn builder_id(&self) -> &str {
        EXPORTED
    }

    fn id(&self) -> String {
        "Container".to_owned()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.path.iter().cloned().collect()
    }

    fn description(&self) -> String {
        match &self.path {
            Some(path) => format!("Exported Docker file: {}", path.display()),
            None => "Discarded Docker container".to_owned(),
        }
    }

    fn state(&self, name: &str) -> Option<Value> {
        (name == "generated_data").then(|| json!(self.data))
    }

    async fn destroy(&self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        match tokio::fs::remove_file(path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ingot_sdk::Error::from(error)
                    .context(format_args!("removing {}", path.display())))
            }
            _ => {
                self.created.remove();
                Ok(())
            }
        }
    }
}
