//! Disks.

use ingot_sdk::{ConfigError, ConfigErrors, ConfigWarning};

use crate::ebs::choices::Product;
use crate::ebs::options::{BlockDevice, Options, given};

/// Checks all disks.
pub(crate) fn devices(
    raw: &Options,
    product: &Product,
    errors: &mut ConfigErrors,
    warnings: &mut Vec<ConfigWarning>,
) {
    let launch = match product {
        Product::Volumes(_) => "ebs_volumes",
        Product::Image | Product::Surrogate(_) => "launch_block_device_mappings",
    };
    for (option, devices) in [
        ("ami_block_device_mappings", &raw.ami.ami_block_device_mappings),
        (launch, &raw.instance.launch_block_device_mappings),
    ] {
        for (index, device) in devices.iter().enumerate() {
            let block = format!("{option}[{index}]");
            if let Some(message) = problem(device) {
                errors.push(ConfigError::on(block, message));
                continue;
            }
            let found = idle(device).into_iter().chain(beyond(device));
            warnings.extend(found.map(|(name, message)| {
                ConfigWarning::on(format!("{block}.{name}"), format!("{option}: {message}"))
            }));
        }
    }
    // Volumes that stay are what the other builder is there for.
    if matches!(product, Product::Volumes(_)) {
        return;
    }
    for (index, device) in raw.instance.launch_block_device_mappings.iter().enumerate() {
        let block = || format!("launch_block_device_mappings[{index}]");
        warnings.extend(unsaid(device).map(|message| ConfigWarning::on(block(), message)));
    }
}

/// A disk whose volume stays when the instance is terminated, although nobody said so.
fn unsaid(device: &BlockDevice) -> Option<String> {
    if !device.is_volume() || device.delete_on_termination.is_some() {
        return None;
    }
    let name = given(&device.device_name)?;
    Some(format!(
        "launch_block_device_mappings: the volume of {name} is left behind when the instance is \
         terminated, and costs: set delete_on_termination = true, or false to say that it is to \
         stay"
    ))
}

fn problem(device: &BlockDevice) -> Option<String> {
    let Some(name) = given(&device.device_name) else {
        return Some("every disk needs a `device_name`".to_owned());
    };
    for (what, value) in [
        ("volume_size", Some(device.volume_size)),
        ("iops", device.iops),
        ("throughput", device.throughput),
    ] {
        if let Some(value) = value.filter(|&value| value < 0) {
            return Some(format!("{name}: {what} cannot be negative, and is {value}"));
        }
    }
    if given(&device.kms_key_id).is_some() && device.encrypted == Some(false) {
        return Some(format!("{name}: a kms_key_id needs encrypted = true"));
    }
    let kind = given(&device.volume_type).unwrap_or_default();
    if kind != "gp3" && device.throughput.is_some() {
        return Some(format!("{name}: only gp3 volumes have a throughput, and this is {kind:?}"));
    }
    None
}

/// What a kind of volumes can have, as AWS documents it (EBS User Guide, "Amazon EBS volume types",
/// in November 2026). AWS raises these limits now and then, so that they are no more than a reason
/// to warn.
struct Limits {
    kind: &'static str,
    /// Sizes in GiB.
    size: (i32, i32),
    /// Operations per second; none where they cannot be chosen.
    iops: Option<(i32, i32)>,
    /// Operations per second for each GiB at the most; none where they cannot be chosen.
    ratio: Option<i32>,
    /// Throughput in MiB per second; none where it cannot be chosen.
    throughput: Option<(i32, i32)>,
}

const TIB: i32 = 1024;

const LIMITS: &[Limits] = &[
    Limits {
        kind: "gp3",
        size: (1, 64 * TIB),
        iops: Some((3000, 80_000)),
        ratio: Some(500),
        throughput: Some((125, 2000)),
    },
    Limits { kind: "gp2", size: (1, 16 * TIB), iops: None, ratio: None, throughput: None },
    Limits {
        kind: "io1",
        size: (4, 16 * TIB),
        iops: Some((100, 64_000)),
        ratio: Some(50),
        throughput: None,
    },
    Limits {
        kind: "io2",
        size: (4, 64 * TIB),
        iops: Some((100, 256_000)),
        ratio: Some(1000),
        throughput: None,
    },
    Limits { kind: "st1", size: (125, 16 * TIB), iops: None, ratio: None, throughput: None },
    Limits { kind: "sc1", size: (125, 16 * TIB), iops: None, ratio: None, throughput: None },
    Limits { kind: "standard", size: (1, TIB), iops: None, ratio: None, throughput: None },
];

/// Which options are beyond the limits that AWS documents, and how. AWS itself decides.
fn beyond(device: &BlockDevice) -> Vec<(&'static str, String)> {
    let kind = given(&device.volume_type).unwrap_or_default();
    let Some(limits) = LIMITS.iter().find(|limits| limits.kind == kind) else { return Vec::new() };
    let name = given(&device.device_name).unwrap_or_default();
    let mut warnings = Vec::new();
    let size = Some(device.volume_size).filter(|&size| size > 0);
    for (what, unit, value, range) in [
        ("volume_size", " GiB", size, Some(limits.size)),
        ("iops", "", device.iops, limits.iops),
        ("throughput", " MiB/s", device.throughput, limits.throughput),
    ] {
        if let (Some(value), Some((least, most))) = (value, range)
            && !(least..=most).contains(&value)
        {
            let message = format!(
                "`{what}` of {name} is {value}{unit}; AWS documents {least} to {most} for {kind} \
                 volumes, and may refuse it when the instance or the AMI is made"
            );
            warnings.push((what, message));
        }
    }
    if let (Some(size), Some(iops), Some(ratio)) = (size, device.iops, limits.ratio)
        // Up to the least that can be asked for, the size does not matter.
        && iops > limits.iops.map_or(0, |(least, _)| least)
        && i64::from(iops) > i64::from(ratio) * i64::from(size)
    {
        let message = format!(
            "`iops` of {name} is {iops}; AWS documents at most {ratio} for each GiB of a {kind} \
             volume, which has {size}, and may refuse it when the instance or the AMI is made"
        );
        warnings.push(("iops", message));
    }
    warnings
}

/// Which option has no effect, and why.
fn idle(device: &BlockDevice) -> Option<(&'static str, String)> {
    let name = given(&device.device_name)?;
    let kind = given(&device.volume_type);
    if let Some(named) = given(&device.virtual_name).filter(|name| !name.starts_with("ephemeral")) {
        let message = format!(
            "`virtual_name` of {name} has no effect: {named:?} is not an instance store volume, whose \
             names are ephemeral0 and so on"
        );
        return Some(("virtual_name", message));
    }
    let takes_iops = matches!(kind, Some("io1" | "io2" | "gp3"));
    if device.iops.is_some() && !takes_iops {
        let kind = kind.map_or("the default type".to_owned(), |kind| format!("the type {kind}"));
        let message = format!(
            "`iops` of {name} has no effect: volumes of {kind} take none, only io1, io2 and gp3 do"
        );
        return Some(("iops", message));
    }
    None
}
