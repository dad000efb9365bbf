//! The options of `amazon-ebsvolume`.

use ingot_communicator::CommunicatorConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use super::ami::AmiOptions;
use super::block_device::BlockDevice;
use super::instance::InstanceOptions;
use super::network::NetworkOptions;
use super::spot::SpotOptions;
use super::tags::{KeyValue, TagOptions, Tags, merge_blocks};
use super::{AccessOptions, Options};

/// The options.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct VolumeOptions {
    /// Access to AWS.
    #[serde(flatten)]
    pub access: AccessOptions,
    /// The instance that the volumes are attached to.
    #[serde(flatten)]
    pub instance: InstanceOptions,
    /// Where that runs and who reaches it.
    #[serde(flatten)]
    pub network: NetworkOptions,
    /// Spot instances.
    #[serde(flatten)]
    pub spot: SpotOptions,
    /// The volumes. Those with `delete_on_termination = true` go with the instance; of use are
    /// then their snapshots.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub ebs_volumes: Vec<EbsVolume>,
    /// Set or clear enhanced networking by ENA on the instance.
    pub ena_support: Option<bool>,
    /// Set enhanced networking by SR-IOV (`simple`) on the instance.
    #[serde(default)]
    pub sriov_support: bool,
    /// Tags of the instance and what else is made for the build only.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub run_tags: Tags,
    /// The same as blocks.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub run_tag: Vec<KeyValue>,
    /// Tags of the instance's volumes. Those of `ebs_volumes` lose them once it runs.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub run_volume_tags: Tags,
    /// The same as blocks.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub run_volume_tag: Vec<KeyValue>,
    /// `communicator`, `ssh_*`, `winrm_*`.
    #[serde(flatten)]
    pub communicator: CommunicatorConfig,
}

/// One volume that is made.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct EbsVolume {
    /// The disk.
    #[serde(flatten)]
    pub device: BlockDevice,
    /// Tags of the volume.
    #[serde(default)]
    pub tags: Tags,
    /// The same as blocks.
    #[serde(default)]
    pub tag: Vec<KeyValue>,
    /// Create a snapshot of it.
    #[serde(default)]
    pub snapshot_volume: bool,
    /// The snapshot's description. By default it tells when it was made.
    pub snapshot_description: Option<String>,
    /// Tags of the snapshot.
    #[serde(default)]
    pub snapshot_tags: Tags,
    /// The same as blocks.
    #[serde(default)]
    pub snapshot_tag: Vec<KeyValue>,
    /// Account ids that may use the snapshot.
    #[serde(default)]
    pub snapshot_users: Vec<String>,
    /// Groups that may use it: `all`.
    #[serde(default)]
    pub snapshot_groups: Vec<String>,
}

impl EbsVolume {
    /// Whether it is there after the build.
    pub fn stays(&self) -> bool {
        self.device.is_volume() && self.device.delete_on_termination != Some(true)
    }

    /// Moves the tags of the blocks to the others.
    fn merge(&mut self) {
        merge_blocks(&mut self.tags, &mut self.tag);
        merge_blocks(&mut self.snapshot_tags, &mut self.snapshot_tag);
    }
}

impl VolumeOptions {
    /// The options as those of an instance with these disks, and the volumes.
    pub fn split(mut self) -> (Options, Vec<EbsVolume>) {
        let mut volumes = self.ebs_volumes;
        volumes.iter_mut().for_each(EbsVolume::merge);
        let devices = volumes.iter().map(|volume| volume.device.clone());
        merge_blocks(&mut self.run_volume_tags, &mut self.run_volume_tag);
        let options = Options {
            access: self.access,
            ami: AmiOptions {
                ena_support: self.ena_support,
                sriov_support: self.sriov_support,
                ..AmiOptions::default()
            },
            instance: InstanceOptions {
                launch_block_device_mappings: devices.collect(),
                ..self.instance
            },
            network: self.network,
            spot: self.spot,
            tags: TagOptions {
                run_tags: self.run_tags,
                run_tag: self.run_tag,
                run_volume_tags: self.run_volume_tags,
                ..TagOptions::default()
            },
            communicator: self.communicator,
        };
        (options, volumes)
    }
}
