//! What `amazon-ebssurrogate` has besides.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Options;

/// The options of `amazon-ebssurrogate`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct SurrogateOptions {
    /// Those that are as for `amazon-ebs`.
    #[serde(flatten)]
    pub base: Options,
    /// Its own.
    #[serde(flatten)]
    pub own: Surrogate,
}

/// How an AMI is made of volumes that are attached to an instance.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Surrogate {
    /// Which of the instance's volumes becomes the AMI's root device.
    pub ami_root_device: RootDevice,
    /// The AMI's architecture: `x86_64` (the default), `arm64`, `i386`, `x86_64_mac` or
    /// `arm64_mac`.
    pub ami_architecture: Option<String>,
    /// How instances of the AMI boot: `legacy-bios`, `uefi` or `uefi-preferred`. By default what
    /// EC2 chooses for the architecture.
    pub boot_mode: Option<String>,
    /// The variables of UEFI that instances start with, in base64.
    pub uefi_data: Option<String>,
    /// `v2.0` gives instances of the AMI a TPM.
    pub tpm_support: Option<String>,
    /// Make the AMI of the instance, whose root device is exchanged before, rather than of
    /// snapshots of its volumes. It then has the properties of the instance.
    #[serde(default)]
    pub use_create_image: bool,
    /// The description of the snapshots. By default it tells when they were made.
    pub snapshot_description: Option<String>,
}

/// The root device of an AMI.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct RootDevice {
    /// The device of the instance that has it, one of `launch_block_device_mappings`.
    pub source_device_name: Option<String>,
    /// Its name in instances of the AMI, such as `/dev/xvda`.
    pub device_name: Option<String>,
    /// Has no effect, here as in Packer: set it in `launch_block_device_mappings`.
    pub delete_on_termination: Option<bool>,
    /// Has no effect, here as in Packer: set it in `launch_block_device_mappings`.
    pub iops: Option<i32>,
    /// Has no effect, here as in Packer: set it in `launch_block_device_mappings`.
    pub volume_type: Option<String>,
    /// Has no effect, here as in Packer: set it in `launch_block_device_mappings`.
    pub volume_size: Option<i32>,
}
