//! Disks.

use ingot_sdk::config::is_unknown;
use ingot_sdk::{ConfigError, ConfigErrors};

use crate::ebs::options::{BlockDevice, Options, given};
use crate::ebs::settings::known;

/// Checks all disks.
pub fn devices(raw: &Options, errors: &mut ConfigErrors, warnings: &mut Vec<String>) {
    for (option, devices) in [
        ("ami_block_device_mappings", &raw.ami.ami_block_device_mappings),
        ("launch_block_device_mappings", &raw.instance.launch_block_device_mappings),
    ] {
        for device in devices {
            if let Some(message) = problem(device) {
                errors.push(ConfigError::on(option, message));
            } else if let Some(message) = idle(device) {
                warnings.push(format!("{option}: {message}"));
            }
        }
    }
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
    let within = |what: &str, value: Option<i32>, least: i32, most: i32| {
        let outside = value.is_some_and(|value| !(least..=most).contains(&value));
        outside.then(|| format!("{name}: {what} has to be between {least} and {most}"))
    };
    if given(&device.kms_key_id).is_some() && device.encrypted == Some(false) {
        return Some(format!("{name}: a kms_key_id needs encrypted = true"));
    }
    let kind = given(&device.volume_type).unwrap_or_default();
    if kind != "gp3" && device.throughput.is_some() {
        return Some(format!("{name}: only gp3 volumes have a throughput, and this is {kind:?}"));
    }
    match kind {
        "gp3" => within("throughput", device.throughput, 125, 1000)
            .or_else(|| within("iops", device.iops, 3000, 16000)),
        "io1" | "io2" if device.volume_size != 0 => {
            let ratio = if kind == "io1" { 50 } else { 500 };
            match device.iops {
                Some(iops) if iops / device.volume_size > ratio => Some(format!(
                    "{name}: {kind} volumes have at most {ratio} iops for each GiB of volume_size"
                )),
                iops => within("iops", iops, 100, 64000),
            }
        }
        _ => None,
    }
}

/// What has no effect.
fn idle(device: &BlockDevice) -> Option<String> {
    let name = given(&device.device_name)?;
    let kind = given(&device.volume_type).filter(|kind| !is_unknown(kind));
    if let Some(named) = known(&device.virtual_name).filter(|name| !name.starts_with("ephemeral")) {
        return Some(format!(
            "`virtual_name` of {name} has no effect: {named:?} is no instance store volume, whose \
             names are ephemeral0 and so on"
        ));
    }
    let unknown = given(&device.volume_type).is_some_and(is_unknown);
    let takes_iops = matches!(kind, Some("io1" | "io2" | "gp3"));
    if device.iops.is_some() && !unknown && !takes_iops {
        let kind = kind.map_or("the default type".to_owned(), |kind| format!("the type {kind}"));
        return Some(format!(
            "`iops` of {name} has no effect: volumes of {kind} take none, only io1, io2 and gp3 do"
        ));
    }
    None
}
