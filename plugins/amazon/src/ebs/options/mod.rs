//! The options of an `amazon-ebs` source block, as written. Names and defaults are Packer's.

mod ami;
mod block_device;
mod instance;
mod network;
mod spot;
mod tags;

use ingot_communicator::CommunicatorConfig;
use ingot_sdk::{Schema, TemplateFunction};
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use ami::{AmiOptions, FastLaunch, clean_function, clean_name};
pub(super) use block_device::BlockDevice;
pub(super) use instance::InstanceOptions;
pub(super) use network::{NetworkOptions, SESSION_MANAGER};
pub(super) use spot::SpotOptions;
pub(super) use tags::{TagOptions, Tags};

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

/// A text that was given; an empty one is the same as none, as in Packer.
pub(super) fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// Options of other builders of AMIs.
const NO_OPTIONS: &[(&str, &str)] =
    &[("boot_mode", FROM_SOURCE), ("tpm_support", FROM_SOURCE), ("uefi_data", FROM_SOURCE)];
const FROM_SOURCE: &str = "an AMI that is made of an instance has that of the source AMI, here as in Packer; choose a \
     source AMI that has it";

/// The schema of the source block.
pub(super) fn schema() -> Schema {
    let clean = TemplateFunction { name: "clean_resource_name", run: ami::clean_function };
    Schema { functions: vec![clean], no_options: NO_OPTIONS, ..Schema::of::<Options>() }
}
