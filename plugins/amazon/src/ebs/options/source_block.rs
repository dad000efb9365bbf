//! The options of `amazon-ebs`.

use ingot_communicator::CommunicatorConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use super::ami::AmiOptions;
use super::instance::InstanceOptions;
use super::network::NetworkOptions;
use super::spot::SpotOptions;
use super::tags::{TagOptions, Tags};
use crate::access::AccessOptions;

/// The options.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Options {
    /// Access to AWS.
    #[serde(flatten)]
    pub access: AccessOptions,
    /// The image that is made.
    #[serde(flatten)]
    pub ami: AmiOptions,
    /// The instance it is made from.
    #[serde(flatten)]
    pub instance: InstanceOptions,
    /// Where that runs and who reaches it.
    #[serde(flatten)]
    pub network: NetworkOptions,
    /// Spot instances.
    #[serde(flatten)]
    pub spot: SpotOptions,
    /// All tags.
    #[serde(flatten)]
    pub tags: TagOptions,
    /// `communicator`, `ssh_*`, `winrm_*`.
    #[serde(flatten)]
    pub communicator: CommunicatorConfig,
}

impl Options {
    /// The tags, by the option that gives them. To be asked for once those of blocks are merged.
    pub(crate) fn all_tags(&self) -> [(&'static str, &Tags); 6] {
        [
            ("tags", &self.tags.tags),
            ("snapshot_tags", &self.tags.snapshot_tags),
            ("run_tags", &self.tags.run_tags),
            ("run_volume_tags", &self.tags.run_volume_tags),
            ("spot_tags", &self.spot.spot_tags),
            ("fleet_tags", &self.spot.fleet_tags),
        ]
    }
}

/// A text that was given; an empty one is the same as none, as in Packer.
pub(crate) fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}
