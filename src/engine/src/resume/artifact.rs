//! What a builder made, as a later process knows it, so that post-processors can run again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use ingot_sdk::{
    Artifact, Context, Error, FileArtifact, PluginSet, Reclaim, RecordedPath, RegistryImage,
    Resource, Result,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How long it may take to find out whether an image is there.
const LOOK_TIMEOUT: Duration = Duration::from_secs(60);

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
    files: Vec<RecordedPath>,
    /// What their paths start from.
    directory: RecordedPath,
    description: String,
    size: Option<u64>,
    images: Vec<RegistryImage>,
    states: Map<String, Value>,
    resources: Vec<Resource>,
    /// Whether a program that is gone would be needed to delete it.
    foreign: bool,
    /// When this was written down.
    recorded: SystemTime,
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
            directory: RecordedPath(std::env::current_dir().unwrap_or_default()),
            builder_id: artifact.builder_id().to_owned(),
            id: artifact.id(),
            description: artifact.description(),
            size: artifact.size(),
            images: artifact.images(),
            states: states.collect(),
            resources: artifact.resources(),
            foreign: hosted && files.is_empty(),
            recorded: SystemTime::now(),
            files: files.into_iter().map(RecordedPath).collect(),
        }
    }

    /// One line for people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What it is besides files.
    pub(super) fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Whether files are part of it.
    pub(super) fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Its files, from the root.
    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.files.iter().map(|file| self.directory.0.join(&file.0))
    }

    /// The artifact, for post-processors. Unless it is `owned`, it is the user's, and nothing of it
    /// is ever deleted.
    ///
    /// # Errors
    /// Something of it is gone, or it cannot be found out whether it is there.
    pub(super) async fn restore(
        &self,
        plugins: &PluginSet,
        owned: bool,
    ) -> Result<Arc<dyn Artifact>> {
        let gone = |what: &dyn std::fmt::Display| {
            Error::new(format!("{what} is gone, which the builder created"))
                .hint("build again without -resume")
        };
        if let Some(file) = self.paths().find(|file| !file.exists()) {
            return Err(gone(&file.display()));
        }
        for resource in &self.resources {
            let what = format!("{} {}", resource.kind, resource.id);
            let looked = tokio::time::timeout(LOOK_TIMEOUT, plugins.is_there(resource)).await;
            let looked = looked.unwrap_or_else(|_| Err(Error::new("there is no response")));
            if !looked.with_context(|| format!("looking for {what}"))? {
                return Err(gone(&what));
            }
        }
        let mut record = self.clone();
        if std::env::current_dir().is_ok_and(|here| here != self.directory.0) {
            record.files = self.paths().map(RecordedPath).collect();
        }
        Ok(Arc::new(Restored { record, owned, reclaimers: plugins.reclaimers.clone() }))
    }

    /// Deletes what it stands for; not files that were written since, by a build that replaced them.
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
        let unchanged = |file: &PathBuf| {
            let written = std::fs::symlink_metadata(file).and_then(|found| found.modified());
            written.is_ok_and(|written| written <= self.recorded)
        };
        let files = FileArtifact {
            builder_id: String::new(),
            id: String::new(),
            files: self.paths().filter(unchanged).collect(),
            description: String::new(),
        };
        files.destroy().await
    }
}

struct Restored {
    record: RecordedArtifact,
    /// Whether it may be deleted.
    owned: bool,
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
        self.record.files.iter().map(|file| file.0.clone()).collect()
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
        match self.owned {
            true => self.record.destroy(&self.reclaimers).await,
            false => Ok(()),
        }
    }
}
