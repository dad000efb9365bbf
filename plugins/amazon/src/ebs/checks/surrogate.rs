//! The AMI of `amazon-ebssurrogate`.

use ingot_sdk::{ConfigError, ConfigErrors, ConfigWarning};

use super::{one_of, wrong, wrong_with};
use crate::ebs::options::{Options, Surrogate, given};

/// Checks what the AMI is made of, and how.
pub(crate) fn surrogate(
    raw: &Options,
    own: &Surrogate,
    errors: &mut ConfigErrors,
    warnings: &mut Vec<ConfigWarning>,
) {
    if given(&raw.ami.ami_virtualization_type).is_none() {
        errors.push(
            ConfigError::new("`ami_virtualization_type` is missing")
                .related(["ami_virtualization_type"])
                .hint("set ami_virtualization_type = \"hvm\", or \"paravirtual\""),
        );
    }
    root(raw, own, errors, warnings);
    let architectures = ["x86_64", "arm64", "i386", "x86_64_mac", "arm64_mac"];
    one_of(errors, "ami_architecture", given(&own.ami_architecture), &architectures);
    one_of(errors, "tpm_support", given(&own.tpm_support), &["v2.0"]);
    let mode = given(&own.boot_mode);
    one_of(errors, "boot_mode", mode, &["legacy-bios", "uefi", "uefi-preferred"]);
    let is_arm = given(&own.ami_architecture) == Some("arm64");
    if given(&own.uefi_data).is_some() && (mode == Some("legacy-bios") || mode.is_none() && !is_arm)
    {
        wrong_with(
            errors,
            ("uefi_data", &["boot_mode", "ami_architecture"]),
            "an AMI that boots by legacy-bios has no variables of UEFI",
            "set boot_mode = \"uefi\"",
        );
    }
    if own.use_create_image {
        for (option, value) in [
            ("ami_architecture", &own.ami_architecture),
            ("boot_mode", &own.boot_mode),
            ("uefi_data", &own.uefi_data),
            ("tpm_support", &own.tpm_support),
            ("snapshot_description", &own.snapshot_description),
        ] {
            if given(value).is_some() {
                let message = format!(
                    "`{option}` has no effect with use_create_image: the AMI has that of the \
                     instance"
                );
                warnings.push(ConfigWarning::on(option, message));
            }
        }
    }
}

fn root(
    raw: &Options,
    own: &Surrogate,
    errors: &mut ConfigErrors,
    warnings: &mut Vec<ConfigWarning>,
) {
    let root = &own.ami_root_device;
    for (name, value) in
        [("source_device_name", &root.source_device_name), ("device_name", &root.device_name)]
    {
        if given(value).is_none() {
            let message = format!("`{name}` is missing");
            errors.push(ConfigError::on("ami_root_device", message));
        }
    }
    for (name, is_set) in [
        ("delete_on_termination", root.delete_on_termination.is_some()),
        ("iops", root.iops.is_some_and(|iops| iops != 0)),
        ("volume_type", given(&root.volume_type).is_some()),
        ("volume_size", root.volume_size.is_some_and(|size| size != 0)),
    ] {
        if is_set {
            let message = format!(
                "ami_root_device: `{name}` has no effect, here as in Packer: the root device has \
                 that of its disk in launch_block_device_mappings"
            );
            warnings.push(ConfigWarning::on(format!("ami_root_device.{name}"), message));
        }
    }
    let Some(source) = given(&root.source_device_name) else { return };
    let mut devices = raw.instance.launch_block_device_mappings.iter();
    match devices.find(|device| given(&device.device_name) == Some(source)) {
        None => wrong_with(
            errors,
            ("ami_root_device", &["launch_block_device_mappings"]),
            format!("there is no disk {source} in launch_block_device_mappings"),
            "add it there: it becomes the root device of the AMI",
        ),
        Some(device) if device.omit_from_artifact => wrong(
            errors,
            "launch_block_device_mappings",
            format!("the root device of the AMI, {source}, cannot be left out of it"),
            "remove omit_from_artifact",
        ),
        Some(device) if !device.is_volume() => wrong(
            errors,
            "launch_block_device_mappings",
            format!("the root device of the AMI, {source}, has to be a volume of EBS"),
            "remove no_device and virtual_name",
        ),
        Some(_) => {}
    }
}
