//! What a build of `amazon-ebsvolume` leaves.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ingot_sdk::{Artifact, GeneratedData, RegistryImage, Resource, Result, async_trait};
use serde_json::{Value, json};

use super::removal::{remove_snapshot, remove_volume};
use crate::access::Access;

/// The builder's id.
const BUILDER_ID: &str = "mitchellh.amazon.ebsvolume";

/// Volumes and snapshots in one region.
pub(super) struct VolumeArtifact {
    /// To remove them.
    pub access: Access,
    /// The ids of the volumes.
    pub volumes: Vec<String>,
    /// The ids of the snapshots.
    pub snapshots: Vec<String>,
    /// What a later process removes them by.
    pub resources: Vec<Resource>,
    /// What `build.*` knew.
    pub data: GeneratedData,
}

impl VolumeArtifact {
    fn ids(&self) -> Vec<String> {
        let all = self.volumes.iter().chain(&self.snapshots);
        let mut ids: Vec<String> = all.map(|id| format!("{}:{id}", self.access.region())).collect();
        ids.sort();
        ids
    }
}

#[async_trait]
impl Artifact for VolumeArtifact {
    fn builder_id(&self) -> &str {
        BUILDER_ID
    }

    fn id(&self) -> String {
        self.ids().join(",")
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn description(&self) -> String {
        format!("EBS Volumes were created:\n\n{}", self.ids().join("\n"))
    }

    fn state(&self, name: &str) -> Option<Value> {
        (name == "generated_data").then(|| json!(self.data))
    }

    fn images(&self) -> Vec<RegistryImage> {
        let source = self.data.get("SourceAMI").and_then(Value::as_str).map(str::to_owned);
        let image = |id: &String| RegistryImage {
            provider: "aws".to_owned(),
            region: self.access.region().to_owned(),
            id: id.clone(),
            source_id: source.clone(),
            labels: BTreeMap::new(),
        };
        self.volumes.iter().chain(&self.snapshots).map(image).collect()
    }

    fn resources(&self) -> Vec<Resource> {
        self.resources.clone()
    }

    async fn destroy(&self) -> Result<()> {
        let ec2 = self.access.client(self.access.region());
        for volume in &self.volumes {
            remove_volume(&ec2, volume).await?;
        }
        for snapshot in &self.snapshots {
            remove_snapshot(&ec2, snapshot).await?;
        }
        Ok(())
    }
}
