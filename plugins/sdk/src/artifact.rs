//! What a build leaves behind.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;

use crate::Result;

/// The outcome of a builder or post-processor.
#[async_trait]
pub trait Artifact: Send + Sync {
    /// The id of the kind of thing this is, such as `packer.docker`. Post-processors decide by
    /// it whether they can take the artifact, so the values are Packer's.
    fn builder_id(&self) -> &str;
    /// What names the artifact where it lives: an image id, an AMI id, a file name.
    fn id(&self) -> String;
    /// The files the artifact consists of; empty for artifacts kept by a service.
    fn files(&self) -> Vec<PathBuf>;
    /// One line for people.
    fn description(&self) -> String;
    /// A fact that another plugin may ask for, by name.
    fn state(&self, _name: &str) -> Option<serde_json::Value> {
        None
    }
    /// How many bytes it takes where it lives, if it is not made of [`Artifact::files`] and that is
    /// known.
    fn size(&self) -> Option<u64> {
        None
    }
    /// The images that an image registry would record for this artifact.
    fn images(&self) -> Vec<RegistryImage> {
        Vec::new()
    }
    /// What a later process has to remove besides [`Artifact::files`] to delete the artifact, for
    /// the [`crate::Reclaim`] of its kind. An id that is an absolute path is that of a directory that
    /// goes with all that is in it, or of a file.
    fn resources(&self) -> Vec<crate::Resource> {
        Vec::new()
    }
    /// Called once the post-processors of the build are done with it, before anything else of it is done.
    fn processed(&self) {}
    /// Deletes the artifact. Used when a post-processor replaced it and it was not kept.
    async fn destroy(&self) -> Result<()>;
}

/// One image of an artifact, as an image registry records it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RegistryImage {
    /// The cloud or platform, for example `docker` or `aws`.
    pub provider: String,
    /// The region or host that holds the image.
    pub region: String,
    /// The image's id there.
    pub id: String,
    /// The id of the image it was built from, if known.
    pub source_id: Option<String>,
    /// Labels that the builder knows.
    pub labels: BTreeMap<String, String>,
}

/// An artifact made of local files, and perhaps directories.
#[derive(Debug, Clone)]
pub struct FileArtifact {
    /// See [`Artifact::builder_id`].
    pub builder_id: String,
    /// See [`Artifact::id`].
    pub id: String,
    /// See [`Artifact::files`].
    pub files: Vec<PathBuf>,
    /// See [`Artifact::description`].
    pub description: String,
}

#[async_trait]
impl Artifact for FileArtifact {
    fn builder_id(&self) -> &str {
        &self.builder_id
    }

    fn id(&self) -> String {
        self.id.clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn destroy(&self) -> Result<()> {
        for file in &self.files {
            let removed = match tokio::fs::symlink_metadata(file).await {
                Ok(found) if found.is_dir() => tokio::fs::remove_dir_all(file).await,
                Ok(_) => tokio::fs::remove_file(file).await,
                Err(error) => Err(error),
            };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(crate::Error::from(error)
                        .context(format_args!("removing {}", file.display())));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
