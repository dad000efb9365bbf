//! The options of the builders, as written. Names and defaults are Packer's.

mod ami;
mod block_device;
mod instance;
mod network;
mod spot;
mod surrogate;
mod tags;
mod volumes;

use ingot_communicator::CommunicatorConfig;
use ingot_sdk::schema::OptionType;
use ingot_sdk::{Schema, TemplateFunction};
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use ami::{AmiOptions, FastLaunch, clean_function, clean_name};
pub(super) use block_device::BlockDevice;
pub(super) use instance::InstanceOptions;
pub(super) use network::{NetworkOptions, SESSION_MANAGER};
pub(super) use spot::SpotOptions;
pub(super) use surrogate::{RootDevice, Surrogate, SurrogateOptions};
pub(super) use tags::{TagOptions, Tags};
pub(super) use volumes::{EbsVolume, VolumeOptions};

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

/// The schema of `amazon-ebs`.
pub(super) fn schema() -> Schema {
    let schema = Schema { no_options: NO_OPTIONS, ..Schema::of::<Options>() };
    without(
        schema,
        &[
            "ami_block_device_mappings.omit_from_artifact",
            "launch_block_device_mappings.omit_from_artifact",
        ],
    )
}

/// The schema of `amazon-ebssurrogate`.
pub(super) fn surrogate_schema() -> Schema {
    without(
        Schema::of::<SurrogateOptions>(),
        &[
            "ami_block_device_mappings.omit_from_artifact",
            "fast_launch",
            "no_ephemeral",
            "skip_create_ami",
        ],
    )
}

/// The schema of `amazon-ebsvolume`.
pub(super) fn volume_schema() -> Schema {
    without(
        Schema::of::<VolumeOptions>(),
        &["ebs_volumes.omit_from_artifact", "launch_block_device_mappings", "no_ephemeral"],
    )
}

/// The schema without some options, of which `block.option` is one in a block, and with the
/// functions that all of these builders have.
fn without(mut schema: Schema, names: &[&str]) -> Schema {
    for name in names {
        match name.split_once('.') {
            None => schema.options.retain(|option| option.name != *name),
            Some((block, inner)) => {
                for option in schema.options.iter_mut().filter(|option| option.name == block) {
                    if let OptionType::Block(block) | OptionType::Blocks(block) = &mut option.ty {
                        block.options.retain(|option| option.name != inner);
                    }
                }
            }
        }
    }
    let clean = TemplateFunction { name: "clean_resource_name", run: ami::clean_function };
    schema.functions.push(clean);
    schema
}
