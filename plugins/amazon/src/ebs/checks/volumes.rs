//! The volumes of `amazon-ebsvolume`.

use ingot_sdk::{ConfigError, ConfigErrors, PrepareContext};

use super::wrong;
use crate::ebs::options::{EbsVolume, given};
use crate::ebs::tags::try_out;

/// Checks what the volumes have besides a disk's own options.
pub(crate) fn volumes(volumes: &[EbsVolume], ctx: &PrepareContext, errors: &mut ConfigErrors) {
    for (index, volume) in volumes.iter().enumerate() {
        let block = format!("ebs_volumes[{index}]");
        let name = given(&volume.device.device_name).unwrap_or("a volume");
        if given(&volume.snapshot_description).is_some() && !volume.snapshot_volume {
            wrong(
                errors,
                &format!("{block}.snapshot_description"),
                format!("{name} has a snapshot_description but no snapshot"),
                "set snapshot_volume = true",
            );
        }
        if volume.snapshot_volume && !volume.device.is_volume() {
            wrong(
                errors,
                &format!("{block}.snapshot_volume"),
                format!("{name} is not an EBS volume, so it gets no snapshot"),
                "remove snapshot_volume",
            );
        }
        let tags = volume.tags.iter().chain(&volume.snapshot_tags);
        let texts = tags.flat_map(|(key, value)| [key, value]);
        for text in texts.chain(&volume.snapshot_description) {
            if let Err(error) = try_out(ctx, text) {
                errors.push(ConfigError::on(block.as_str(), format!("{name}: {error}")));
            }
        }
    }
}
