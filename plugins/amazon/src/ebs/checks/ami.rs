//! The image.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use ingot_sdk::{ConfigError, ConfigErrors, ConfigWarning};
use regex::Regex;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::fast_launch::fast_launch;
use super::{one_of, wrong, wrong_with};
use crate::ebs::options::{Options, clean_name, given};

/// Key ids, with those of several regions, aliases, and the ARNs of all three.
static KMS_KEY: LazyLock<Regex> = LazyLock::new(|| {
    let arn = r"arn:aws(-[a-z]{2}(-gov)?)?:kms:([a-z]{2}-(gov-)?[a-z]+-\d)?:\d{12}:";
    let key = r"(mrk-)?[a-f0-9]+[a-f0-9-]+";
    let alias = r"alias/[a-zA-Z0-9:/_-]+";
    let pattern = format!("^(?:{key}|{alias}|{arn}key/{key}|{arn}{alias})$");
    Regex::new(&pattern).expect("a pattern that is always the same")
});

/// Checks the options of the image.
pub(crate) fn ami(raw: &Options, errors: &mut ConfigErrors, warnings: &mut Vec<ConfigWarning>) {
    name(&raw.ami.ami_name, errors);
    keys(raw, errors);
    sharing(raw, errors);
    remaining(raw, errors);
    shared_disks(raw, warnings);
    fast_launch(raw, errors, warnings);
    let ami = &raw.ami;
    let kind = given(&ami.ami_virtualization_type);
    if let Some(kind) = kind.filter(|kind| !["hvm", "paravirtual"].contains(kind)) {
        let message = format!(
            "`ami_virtualization_type` has no effect but that ena_support and sriov_support are \
             refused: {kind:?} is neither hvm nor paravirtual"
        );
        warnings.push(ConfigWarning::on("ami_virtualization_type", message));
    }
    one_of(errors, "imds_support", given(&ami.imds_support), &["v2.0"]);
    if let Some(at) = given(&ami.deprecate_at)
        && OffsetDateTime::parse(at, &Rfc3339).is_err()
    {
        wrong(
            errors,
            "deprecate_at",
            format!("{at:?} is not a time"),
            "write it like \"2030-01-31T00:00:00Z\"",
        );
    }
}

/// Checks `ami_name`.
pub(crate) fn name(name: &str, errors: &mut ConfigErrors) {
    if !(3..=128).contains(&name.len()) {
        errors.push(ConfigError::on(
            "ami_name",
            format!("an AMI's name has 3 to 128 characters; this one has {}", name.len()),
        ));
    }
    if clean_name(name) != name {
        wrong(
            errors,
            "ami_name",
            "an AMI's name can only hold letters, digits and ()[] ./-'@_",
            "clean_resource_name replaces others: \"{{ clean_resource_name `my name` }}\", or \
             the function legacy_isotime writes times without colons",
        );
    }
}

fn keys(raw: &Options, errors: &mut ConfigErrors) {
    let ami = &raw.ami;
    for region in ami.region_kms_key_ids.keys() {
        if !ami.ami_regions.contains(region) {
            wrong_with(
                errors,
                ("region_kms_key_ids", &["ami_regions"]),
                format!("{region} is not one of ami_regions"),
                "add it to ami_regions, or remove its key",
            );
        }
    }
    if !ami.region_kms_key_ids.is_empty() {
        for region in &ami.ami_regions {
            if !ami.region_kms_key_ids.contains_key(region) {
                wrong_with(
                    errors,
                    ("ami_regions", &["region_kms_key_ids"]),
                    format!("{region} has no key in region_kms_key_ids"),
                    "give it one; \"\" is the account's default",
                );
            }
        }
    }
    let own = given(&ami.kms_key_id).map(|key| ("kms_key_id", key));
    let regional = ami.region_kms_key_ids.values().map(|key| ("region_kms_key_ids", key.as_str()));
    let keys: Vec<_> = own.into_iter().chain(regional).filter(|(_, key)| !key.is_empty()).collect();
    if let Some((option, _)) = keys.first()
        && ami.encrypt_boot != Some(true)
    {
        let related = (*option, &["encrypt_boot"][..]);
        wrong_with(errors, related, "a key needs encrypt_boot", "set encrypt_boot = true");
    }
    for (option, key) in keys {
        kms_key(option, key, errors);
    }
}

/// Checks an option that names a key.
pub(crate) fn kms_key(option: &str, key: &str, errors: &mut ConfigErrors) {
    if !KMS_KEY.is_match(key) {
        let message = format!("{key:?} names no KMS key");
        wrong(errors, option, message, "write a key's id, alias/NAME, or an ARN");
    }
}

/// Checks that an image is left.
fn remaining(raw: &Options, errors: &mut ConfigErrors) {
    if is_left_nowhere(raw, given(&raw.access.region)) {
        wrong_with(
            errors,
            // Which region is the build's own may be known later only; it is asked again then.
            ("skip_save_build_region", &["ami_regions", "region", "skip_create_ami"]),
            LEFT_NOWHERE,
            LEFT_NOWHERE_HINT,
        );
    }
}

/// Whether the image would be removed in the build's region and copied to no other one. Not as long as
/// that depends on which region is the build's `own`.
pub(crate) fn is_left_nowhere(raw: &Options, own: Option<&str>) -> bool {
    let ami = &raw.ami;
    ami.skip_save_build_region && !ami.skip_create_ami && !goes_elsewhere(raw, own)
}

/// What is wrong where [`is_left_nowhere`].
pub(crate) const LEFT_NOWHERE: &str = "no AMI would be left: it is removed in the build's region, \
                                       and ami_regions has no other region";

/// What to do about [`LEFT_NOWHERE`].
pub(crate) const LEFT_NOWHERE_HINT: &str =
    "name another region in ami_regions, or remove skip_save_build_region";

/// Whether the image is copied to a region other than the build's `own`, or may be where that is not
/// known.
fn goes_elsewhere(raw: &Options, own: Option<&str>) -> bool {
    raw.ami.ami_regions.iter().any(|region| own.is_none_or(|own| region != own))
}

/// Who the image and its snapshots are shared with: the options that are set.
fn shares(raw: &Options) -> Vec<&'static str> {
    let ami = &raw.ami;
    let shares = [
        ("ami_users", &ami.ami_users),
        ("ami_org_arns", &ami.ami_org_arns),
        ("ami_ou_arns", &ami.ami_ou_arns),
        ("snapshot_users", &ami.snapshot_users),
    ];
    shares.into_iter().filter(|(_, users)| !users.is_empty()).map(|(option, _)| option).collect()
}

/// The options that make the image and its snapshots public.
fn publications(raw: &Options) -> Vec<&'static str> {
    let groups =
        [("ami_groups", &raw.ami.ami_groups), ("snapshot_groups", &raw.ami.snapshot_groups)];
    groups.into_iter().filter(|(_, groups)| !groups.is_empty()).map(|(option, _)| option).collect()
}

/// An account's default key is that account's only, so that AWS refuses to share what it encrypts;
/// at the very end, when all copies are made.
fn sharing(raw: &Options, errors: &mut ConfigErrors) {
    let ami = &raw.ami;
    // Which region is the build's own may be known later only; it is asked again then.
    const KEYS: &[&str] = &[
        "encrypt_boot",
        "kms_key_id",
        "region_kms_key_ids",
        "region",
        "ami_regions",
        "skip_save_build_region",
    ];
    let bare = unshareable(raw, given(&raw.access.region));
    let default_elsewhere = ami.region_kms_key_ids.iter().find(|(_, key)| key.is_empty());
    let default_elsewhere = default_elsewhere.map(|(region, _)| region.clone());
    if let Some(region) = bare.or(default_elsewhere) {
        for option in shares(raw) {
            let related = (option, KEYS);
            wrong_with(errors, related, default_key_message(&region), DEFAULT_KEY_HINT);
        }
    }
}

/// What is wrong where something is to be shared that the account's default key encrypts.
pub(crate) fn default_key_message(region: &str) -> String {
    format!(
        "what is encrypted with the account's default key cannot be shared, and {region} has no \
         other key"
    )
}

/// What to do about [`default_key_message`].
pub(crate) const DEFAULT_KEY_HINT: &str = "name the key of the build's region in kms_key_id, and those of \
                                    all ami_regions in region_kms_key_ids";

/// A region whose image would be encrypted with the account's default key although it is to be
/// shared. None as long as it depends on which region is the build's `own`.
pub(crate) fn unshareable(raw: &Options, own: Option<&str>) -> Option<String> {
    let ami = &raw.ami;
    if ami.encrypt_boot != Some(true) || shares(raw).is_empty() {
        return None;
    }
    let keyed =
        |region: &str| ami.region_kms_key_ids.get(region).is_some_and(|key| !key.is_empty());
    let main = given(&ami.kms_key_id).is_some();
    let regions: BTreeSet<&String> = ami.ami_regions.iter().collect();
    let Some(own) = own else {
        if !main && ami.region_kms_key_ids.is_empty() {
            return Some("the build's region".to_owned());
        }
        // Only one of them can be the build's own.
        let mut bare = regions.into_iter().filter(|region| !keyed(region));
        let first = bare.next()?;
        return (!main || bare.next().is_some()).then(|| first.clone());
    };
    let own_key = ami.region_kms_key_ids.get(own).or(ami.kms_key_id.as_ref());
    if !ami.skip_save_build_region && own_key.is_none_or(|key| key.is_empty()) {
        return Some(own.to_owned());
    }
    regions.into_iter().find(|region| *region != own && !keyed(region)).cloned()
}

/// Warns of disks that are encrypted and shared in a way that AWS refuses at the end. Whether the
/// account's default key is a key of its own (`aws/ebs` is the usual one) only AWS knows, so that
/// this is a warning only.
fn shared_disks(raw: &Options, warnings: &mut Vec<ConfigWarning>) {
    let ami = &raw.ami;
    if ami.encrypt_boot == Some(true) {
        // The image is encrypted anew, with keys that `sharing` looks at.
        warnings.extend(publications(raw).into_iter().map(|option| {
            let message = format!(
                "`{option}`: AWS makes nothing public that is encrypted, whatever the key, and will \
                 refuse it at the end of the build: remove encrypt_boot, or share with accounts in \
                 ami_users and snapshot_users"
            );
            ConfigWarning::on(option, message)
        }));
        return;
    }
    let shared: Vec<&str> = shares(raw).into_iter().chain(publications(raw)).collect();
    let Some(option) = shared.first() else { return };
    let elsewhere = goes_elsewhere(raw, given(&raw.access.region));
    for (place, devices) in [
        ("ami_block_device_mappings", &ami.ami_block_device_mappings),
        ("launch_block_device_mappings", &raw.instance.launch_block_device_mappings),
    ] {
        let all = devices.iter().enumerate();
        for (index, device) in all.filter(|(_, device)| device.encrypted == Some(true)) {
            let name = given(&device.device_name).unwrap_or("a disk");
            if given(&device.kms_key_id).is_none() {
                let message = format!(
                    "{place}: {name} is encrypted with the account's default key, unless another \
                     is set up in AWS; what that encrypts cannot be shared, so that AWS may refuse \
                     {option} at the end of the build: name a key in kms_key_id"
                );
                warnings.push(ConfigWarning::on(format!("{place}[{index}].encrypted"), message));
            } else if elsewhere {
                let message = format!(
                    "{place}: copies of {name} in other regions are encrypted with the account's \
                     default key there, so that AWS may refuse {option} at the end of the build: \
                     set encrypt_boot = true and name keys in region_kms_key_ids"
                );
                warnings.push(ConfigWarning::on(format!("{place}[{index}].kms_key_id"), message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kms_keys_are_known_by_their_form() {
        let id = "12345678-1234-abcd-0000-123456789012";
        for good in [
            id.to_owned(),
            format!("mrk-{id}"),
            "alias/my/key:1".to_owned(),
            format!("arn:aws:kms:us-east-1:012345678910:key/{id}"),
            format!("arn:aws-us-gov:kms:us-gov-east-1:123456789012:key/mrk-{id}"),
            "arn:aws:kms:us-east-2:123456789012:alias/a".to_owned(),
        ] {
            assert!(KMS_KEY.is_match(&good), "{good}");
        }
        for bad in ["a", "alias/", "key x", "arn:aws:kms:us-east-1:1:key/aa", "ABCDEF"] {
            assert!(!KMS_KEY.is_match(bad), "{bad}");
        }
    }
}
