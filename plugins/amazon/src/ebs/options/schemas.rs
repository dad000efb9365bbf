//! The schemas of the builders.

use ingot_sdk::schema::OptionType;
use ingot_sdk::{Schema, TemplateFunction};

use super::ami;
use super::source_block::Options;
use super::surrogate::SurrogateOptions;
use super::volumes::VolumeOptions;

/// Options of other builders of AMIs.
const NO_OPTIONS: &[(&str, &str)] =
    &[("boot_mode", FROM_SOURCE), ("tpm_support", FROM_SOURCE), ("uefi_data", FROM_SOURCE)];

const FROM_SOURCE: &str = "an AMI that is created from an instance has that of the source AMI, here as in Packer; choose a \
     source AMI that has it";

/// The schema of `amazon-ebs`.
pub(crate) fn schema() -> Schema {
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
pub(crate) fn surrogate_schema() -> Schema {
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
pub(crate) fn volume_schema() -> Schema {
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
