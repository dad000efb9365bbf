//! Disks, as EC2 takes them.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{BlockDeviceMapping, EbsBlockDevice, VolumeType};

use super::options::{BlockDevice, RootDevice, given};
use crate::failure::{Failure, Kind, Subject};

/// The mappings for these disks; with `no_ephemeral`, and without the instance store volumes that
/// Windows has by default.
pub(super) fn mappings(devices: &[BlockDevice], no_ephemeral: bool) -> Vec<BlockDeviceMapping> {
    let mut mappings: Vec<BlockDeviceMapping> = devices.iter().map(mapping).collect();
    if no_ephemeral {
        mappings.extend(('a'..='z').map(|letter| {
            BlockDeviceMapping::builder().device_name(format!("xvdc{letter}")).no_device("").build()
        }));
    }
    mappings
}

/// The disks of an AMI whose root device is one of `launch`, a volume of the instance. Of the
/// volumes in `snapshots`, by their devices, there are snapshots. As in Packer, disks that the
/// instance was launched with win over those that only the AMI has.
pub(super) fn surrogate_mappings(
    ami: &[BlockDevice],
    launch: &[BlockDevice],
    root: &RootDevice,
    snapshots: &BTreeMap<String, String>,
) -> Vec<BlockDeviceMapping> {
    let mut disks: BTreeMap<String, BlockDevice> = BTreeMap::new();
    let name = |device: &BlockDevice| given(&device.device_name).unwrap_or_default().to_owned();
    disks.extend(ami.iter().map(|device| (name(device), device.clone())));
    for device in launch.iter().filter(|device| !device.omit_from_artifact) {
        let mut disk = device.clone();
        // An AMI that is made of an instance has its disks encrypted as the instance's are.
        disk.kms_key_id = None;
        if let Some(snapshot) = snapshots.get(&name(device)) {
            disk.snapshot_id = Some(snapshot.clone());
            disk.encrypted = None;
        }
        if device.device_name == root.source_device_name {
            disk.device_name = root.device_name.clone();
        }
        disks.insert(name(&disk), disk);
    }
    disks.values().map(mapping).collect()
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
        .delete_on_termination(device.delete_on_termination.unwrap_or(false))
        .set_volume_type(kind.map(VolumeType::from))
        .set_volume_size(Some(device.volume_size).filter(|&size| size > 0))
        .set_iops(device.iops.filter(|_| provisioned))
        .set_throughput(device.throughput.filter(|_| kind == Some("gp3")))
        .set_snapshot_id(given(&device.snapshot_id).map(str::to_owned))
        .set_encrypted(device.encrypted)
        .set_kms_key_id(given(&device.kms_key_id).map(str::to_owned));
    mapping.ebs(ebs.build()).build()
}

/// Which option of the disks in `place` AWS speaks of where it refuses what they ask for. AWS's
/// limits change, so that it is AWS that judges them.
pub(super) fn refused(failure: &Failure, place: &str, devices: &[BlockDevice]) -> Option<String> {
    if failure.kind != Kind::Refused || devices.is_empty() {
        return None;
    }
    let option = match failure.subject? {
        Subject::Throughput => "throughput",
        Subject::Iops => "iops",
        Subject::VolumeSize => "volume_size",
        Subject::VolumeType => "volume_type",
        _ => return None,
    };
    let set = |device: &&BlockDevice| match option {
        "throughput" => device.throughput.is_some(),
        "iops" => device.iops.is_some(),
        "volume_size" => device.volume_size != 0,
        _ => given(&device.volume_type).is_some(),
    };
    let names = devices.iter().filter(set).filter_map(|device| given(&device.device_name));
    let names: Vec<&str> = names.collect();
    let of = match names.is_empty() {
        true => String::new(),
        false => format!(" of {}", names.join(", ")),
    };
    Some(format!("see `{option}`{of} in {place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disks_of_a_surrogate_are_renamed_left_out_and_made_of_snapshots() {
        let device = |name: &str| BlockDevice {
            device_name: Some(name.to_owned()),
            kms_key_id: Some("key".to_owned()),
            encrypted: Some(true),
            ..BlockDevice::default()
        };
        let omitted = BlockDevice { omit_from_artifact: true, ..device("/dev/xvdh") };
        let root = RootDevice {
            source_device_name: Some("/dev/xvdf".to_owned()),
            device_name: Some("/dev/xvda".to_owned()),
            ..RootDevice::default()
        };
        let snapshots = [("/dev/xvdf".to_owned(), "snap-1".to_owned())].into();
        let launch = [device("/dev/xvdf"), device("/dev/xvdg"), omitted];
        let ami = [device("/dev/xvdb"), device("/dev/xvdg")];
        let found = surrogate_mappings(&ami, &launch, &root, &snapshots);
        let found: Vec<_> = found
            .iter()
            .map(|one| {
                let ebs = one.ebs().unwrap();
                (one.device_name().unwrap(), ebs.snapshot_id(), ebs.encrypted(), ebs.kms_key_id())
            })
            .collect();
        let expected = [
            ("/dev/xvda", Some("snap-1"), None, None),
            ("/dev/xvdb", None, Some(true), Some("key")),
            ("/dev/xvdg", None, Some(true), None),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_refusal_points_at_the_option() {
        let device = |name: &str, iops| BlockDevice {
            device_name: Some(name.to_owned()),
            iops,
            ..BlockDevice::default()
        };
        let devices = [device("/dev/sda1", None), device("/dev/sdb", Some(90_000))];
        let hint = |code: &str, message: &str| {
            refused(&Failure::from_code(code, message), "launch_block_device_mappings", &devices)
        };
        let iops = "Volume iops of 90000 is too high; maximum is 80000.";
        assert_eq!(
            hint("InvalidParameterValue", iops).as_deref(),
            Some("see `iops` of /dev/sdb in launch_block_device_mappings")
        );
        assert_eq!(
            hint("InvalidParameterValue", "Volume of 9GB is smaller than snapshot; size 20GB")
                .as_deref(),
            Some("see `volume_size` in launch_block_device_mappings")
        );
        assert_eq!(hint("InvalidAMIID.NotFound", iops), None);
        assert_eq!(hint("InvalidParameterValue", "no such zone"), None);
    }
}
