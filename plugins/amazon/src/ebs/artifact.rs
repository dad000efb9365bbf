//! What a build leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ingot_sdk::{Artifact, GeneratedData, RegistryImage, Resource, Result, async_trait};
use serde_json::{Value, json};

use super::removal::{Snapshots, remove_image};
use crate::access::Access;

/// The id of `amazon-ebs`.
pub(super) const EBS_ID: &str = "mitchellh.amazonebs";
/// The id of `amazon-ebssurrogate`.
pub(super) const SURROGATE_ID: &str = "mitchellh.amazon.ebssurrogate";

/// An AMI in each of some regions.
pub(crate) struct AmiArtifact {
    /// The id of their builder.
    pub builder_id: &'static str,
    /// To remove them.
    pub access: Access,
    /// Their ids by region.
    pub images: BTreeMap<String, String>,
    /// The snapshots that are not theirs but the user's.
    pub kept: BTreeSet<String>,
    /// What a later process removes them by.
    pub resources: Vec<Resource>,
    /// What `build.*` knew.
    pub data: GeneratedData,
}

impl AmiArtifact {
    fn each(&self, separator: &str) -> Vec<String> {
        self.images.iter().map(|(region, id)| format!("{region}{separator}{id}")).collect()
    }
}

#[async_trait]
impl Artifact for AmiArtifact {
    fn builder_id(&self) -> &str {
        self.builder_id
    }

    fn id(&self) -> String {
        self.each(":").join(",")
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn description(&self) -> String {
        format!("AMIs were created:\n{}\n", self.each(": ").join("\n"))
    }

    fn state(&self, name: &str) -> Option<Value> {
        match name {
            // Without any, what the builder knew stays known.
            "generated_data" => (!self.data.is_empty()).then(|| json!(self.data)),
            "atlas.artifact.metadata" => {
                let images = self.images.iter();
                Some(images.map(|(region, id)| (format!("region.{region}"), json!(id))).collect())
            }
            _ => None,
        }
    }

    fn images(&self) -> Vec<RegistryImage> {
        let source = self.data.get("SourceAMI").and_then(Value::as_str).map(str::to_owned);
        let image = |(region, id): (&String, &String)| RegistryImage {
            provider: "aws".to_owned(),
            region: region.clone(),
            id: id.clone(),
            source_id: source.clone(),
            labels: BTreeMap::new(),
        };
        self.images.iter().map(image).collect()
    }

    fn resources(&self) -> Vec<Resource> {
        self.resources.clone()
    }

    async fn destroy(&self) -> Result<()> {
        for (region, id) in &self.images {
            let ec2 = self.access.client(region);
            let which = Snapshots { kept: self.kept.clone(), ..Snapshots::default() };
            remove_image(&ec2, id, which, |_| {}).await?;
        }
        Ok(())
    }
}
