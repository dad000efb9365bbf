//! Disks, as EC2 takes them.

use aws_sdk_ec2::types::{BlockDeviceMapping, EbsBlockDevice, VolumeType};

use super::options::{BlockDevice, given};

/// The mappings for these disks; with `no_ephemeral`, and without the instance store volumes that
/// Windows has by default.
pub fn mappings(devices: &[BlockDevice], no_ephemeral: bool) -> Vec<BlockDeviceMapping> {
    let mut mappings: Vec<BlockDeviceMapping> = devices.iter().map(mapping).collect();
    if no_ephemeral {
        mappings.extend(('a'..='z').map(|letter| {
            BlockDeviceMapping::builder().device_name(format!("xvdc{letter}")).no_device("").build()
        }));
    }
    mappings
}

fn mapping(device: &BlockDevice) -> BlockDeviceMapping {
    let mapping =
        BlockDeviceMapping::builder().device_name(given(&device.device_name).unwrap_or_default());
    if device.no_device {
        return mapping.no_device("").build();
    }
    if let Some(name) = given(&device.virtual_name) {
        // Other names mean nothing to EC2; Packer leaves them out too.
        let name = Some(name).filter(|name| name.starts_with("ephemeral")).map(str::to_owned);
        return mapping.set_virtual_name(name).build();
    }
    let kind = given(&device.volume_type);
    let provisioned = matches!(kind, Some("io1" | "io2" | "gp3"));
    let ebs = EbsBlockDevice::builder()
        .delete_on_termination(device.delete_on_termination)
        .set_volume_type(kind.map(VolumeType::from))
        .set_volume_size(Some(device.volume_size).filter(|&size| size > 0))
        .set_iops(device.iops.filter(|_| provisioned))
        .set_throughput(device.throughput.filter(|_| kind == Some("gp3")))
        .set_snapshot_id(given(&device.snapshot_id).map(str::to_owned))
        .set_encrypted(device.encrypted)
        .set_kms_key_id(given(&device.kms_key_id).map(str::to_owned));
    mapping.ebs(ebs.build()).build()
}
