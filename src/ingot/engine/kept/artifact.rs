//! What a builder made, as a later process knows it, so that post-processors can run again.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use ingot_sdk::{
    Artifact, Error, FileArtifact, PluginSet, Reclaim, RegistryImage, Resource, Result,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The facts that post-processors ask artifacts for, here and in Packer's plugins.
const STATES: &[&str] = &[
    "generated_data",
    "docker_tags",
    "diskName",
    "diskPaths",
    "diskType",
    "diskSize",
    "domainType",
    "AmiID",
    "atlas.artifact.metadata",
];

/// Members of `generated_data` that are secrets, and are not written down.
const SECRET_DATA: &[&str] = &["Password", "WinRMPassword", "SSHPrivateKey", "SSHPrivateKeyFile"];

/// What is written down of an artifact.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordedArtifact {
    builder_id: String,
    id: String,
    files: Vec<PathBuf>,
    /// What their paths start from.
    directory: PathBuf,
    description: String,
    size: Option<u64>,
    images: Vec<RegistryImage>,
    states: Map<String, Value>,
    resources: Vec<Resource>,
    /// Whether a program that is gone would be needed to delete it.
    foreign: bool,
}

impl RecordedArtifact {
    /// What there is to write down of `artifact`; `hosted` says that a plugin's program made it.
    pub(super) fn of(artifact: &dyn Artifact, hosted: bool) -> Self {
        let states = STATES.iter().filter_map(|&name| {
            let mut state = artifact.state(name)?;
            if let Some(data) = state.as_object_mut().filter(|_| name == "generated_data") {
                SECRET_DATA.iter().for_each(|secret| drop(data.remove(*secret)));
            }
            Some((name.to_owned(), state))
        });
        let files = artifact.files();
        RecordedArtifact {
            directory: std::env::current_dir().unwrap_or_default(),
            builder_id: artifact.builder_id().to_owned(),
            id: artifact.id(),
            description: artifact.description(),
            size: artifact.size(),
            images: artifact.images(),
            states: states.collect(),
            resources: artifact.resources(),
            foreign: hosted && files.is_empty(),
            files,
        }
    }

    /// One line for people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The artifact, for post-processors.
    ///
    /// # Errors
    /// A file of it is gone.
    pub(super) fn restore(&self, plugins: &PluginSet) -> Result<Arc<dyn Artifact>> {
        let files = self.files.iter().map(|file| self.directory.join(file));
        if let Some(gone) = files.into_iter().find(|file| !file.exists()) {
            return Err(Error::new(format!(
                "{} is gone, which the builder had made",
                gone.display()
            ))
            .hint("build again without -resume"));
        }
        let mut record = self.clone();
        if std::env::current_dir().is_ok_and(|here| here != self.directory) {
            record.files = self.files.iter().map(|file| self.directory.join(file)).collect();
        }
        Ok(Arc::new(Restored { record, reclaimers: plugins.reclaimers.clone() }))
    }

    /// Deletes what it stands for.
    ///
    /// # Errors
    /// It may still be there.
    pub async fn destroy(&self, reclaimers: &[Arc<dyn Reclaim>]) -> Result<()> {
        if self.foreign {
            return Err(Error::new(format!(
                "only the plugin that made it could delete this: {}",
                self.description
            )));
        }
        for resource in &self.resources {
            let able = reclaimers.iter().find(|one| one.kinds().contains(&&*resource.kind));
            let able = able.ok_or_else(|| {
                Error::new(format!("nothing here can remove a {}", resource.kind))
            })?;
            able.reclaim(resource).await?;
        }
        let files = FileArtifact {
            builder_id: String::new(),
            id: String::new(),
            files: self.files.iter().map(|file| self.directory.join(file)).collect(),
            description: String::new(),
        };
        files.destroy().await
    }
}

struct Restored {
    record: RecordedArtifact,
    reclaimers: Vec<Arc<dyn Reclaim>>,
}

#[async_trait]
impl Artifact for Restored {
    fn builder_id(&self) -> &str {
        &self.record.builder_id
    }

    fn id(&self) -> String {
        self.record.id.clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.record.files.clone()
    }

    fn description(&self) -> String {
        self.record.description.clone()
    }

    fn state(&self, name: &str) -> Option<Value> {
        self.record.states.get(name).cloned()
    }

    fn size(&self) -> Option<u64> {
        self.record.size
    }

    fn images(&self) -> Vec<RegistryImage> {
        self.record.images.clone()
    }

    fn resources(&self) -> Vec<Resource> {
        self.record.resources.clone()
    }

    async fn destroy(&self) -> Result<()> {
        self.record.destroy(&self.reclaimers).await
    }
}
