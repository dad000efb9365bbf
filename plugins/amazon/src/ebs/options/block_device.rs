//! Disks.

use schemars::JsonSchema;
use serde::Deserialize;

/// One disk of an instance or AMI.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct BlockDevice {
    /// Whether it goes when its instance is terminated. Default false: the volume stays.
    pub delete_on_termination: Option<bool>,
    /// Its name, such as `/dev/sda1`.
    pub device_name: Option<String>,
    /// Whether it is encrypted. By default as its snapshot.
    pub encrypted: Option<bool>,
    /// Operations per second, for `io1`, `io2` and `gp3`.
    pub iops: Option<i32>,
    /// Leave out the disk that the AMI has under this name.
    #[serde(default)]
    pub no_device: bool,
    /// The snapshot it starts with.
    pub snapshot_id: Option<String>,
    /// MiB per second, for `gp3`.
    pub throughput: Option<i32>,
    /// An instance store volume: `ephemeral0` and so on.
    pub virtual_name: Option<String>,
    /// `gp2`, `gp3`, `io1`, `io2`, `st1`, `sc1` or `standard`. By default EC2's.
    pub volume_type: Option<String>,
    /// Its size in GiB. By default its snapshot's.
    #[serde(default)]
    pub volume_size: i32,
    /// The KMS key it is encrypted with.
    pub kms_key_id: Option<String>,
    /// Leave it out of the AMI.
    #[serde(default)]
    pub omit_from_artifact: bool,
}

impl BlockDevice {
    /// Whether it is a volume of EBS, and not an instance store volume or one that is left out.
    pub fn is_volume(&self) -> bool {
        !self.no_device && super::given(&self.virtual_name).is_none()
    }
}
