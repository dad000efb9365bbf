//! The image.

use std::sync::LazyLock;

use ingot_sdk::config::is_unknown;
use ingot_sdk::{ConfigError, ConfigErrors};
use regex::Regex;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{one_of, wrong};
use crate::ebs::options::{Options, clean_name};
use crate::ebs::settings::known;

/// Key ids, with those of several regions, aliases, and the ARNs of all three.
static KMS_KEY: LazyLock<Regex> = LazyLock::new(|| {
    let arn = r"arn:aws(-[a-z]{2}(-gov)?)?:kms:([a-z]{2}-(gov-)?[a-z]+-\d)?:\d{12}:";
    let key = r"(mrk-)?[a-f0-9]+[a-f0-9-]+";
    let alias = r"alias/[a-zA-Z0-9:/_-]+";
    let pattern = format!("^(?:{key}|{alias}|{arn}key/{key}|{arn}{alias})$");
    Regex::new(&pattern).expect("a pattern that is always the same")
});

/// Checks the options of the image.
pub fn ami(raw: &Options, errors: &mut ConfigErrors, warnings: &mut Vec<String>) {
    name(&raw.ami.ami_name, errors);
    keys(raw, errors);
    sharing(raw, errors);
    let ami = &raw.ami;
    let kind = known(&ami.ami_virtualization_type);
    if let Some(kind) = kind.filter(|kind| !["hvm", "paravirtual"].contains(kind)) {
        warnings.push(format!(
            "`ami_virtualization_type` has no effect but that ena_support and sriov_support are \
             refused: {kind:?} is neither hvm nor paravirtual"
        ));
    }
    one_of(errors, "imds_support", known(&ami.imds_support), &["v2.0"]);
    if let Some(at) = known(&ami.deprecate_at)
        && OffsetDateTime::parse(at, &Rfc3339).is_err()
    {
        wrong(
            errors,
            "deprecate_at",
            format!("{at:?} is not a time"),
            "write it like \"2030-01-31T00:00:00Z\"",
        );
    }
    if ami.fast_launch.as_ref().is_some_and(|launch| launch.enable_fast_launch) {
        wrong(
            errors,
            "fast_launch",
            "fast launching of Windows is not supported yet",
            "remove the block and turn it on for the finished AMI: aws ec2 enable-fast-launch",
        );
    }
}

fn name(name: &str, errors: &mut ConfigErrors) {
    if is_unknown(name) {
        return;
    }
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
        if !ami.ami_regions.contains(region) && !ami.ami_regions.iter().any(|r| is_unknown(r)) {
            wrong(
                errors,
                "region_kms_key_ids",
                format!("{region} is not one of ami_regions"),
                "add it to ami_regions, or remove its key",
            );
        }
    }
    if !ami.region_kms_key_ids.is_empty() {
        for region in ami.ami_regions.iter().filter(|region| !is_unknown(region)) {
            if !ami.region_kms_key_ids.contains_key(region) {
                wrong(
                    errors,
                    "ami_regions",
                    format!("{region} has no key in region_kms_key_ids"),
                    "give it one; \"\" is the account's default",
                );
            }
        }
    }
    let given = known(&ami.kms_key_id).map(|key| ("kms_key_id", key));
    let regional = ami.region_kms_key_ids.values().map(|key| ("region_kms_key_ids", key.as_str()));
    let keys: Vec<_> =
        given.into_iter().chain(regional).filter(|(_, key)| !key.is_empty()).collect();
    if let Some((option, _)) = keys.first()
        && ami.encrypt_boot != Some(true)
    {
        wrong(errors, option, "a key needs encrypt_boot", "set encrypt_boot = true");
    }
    for (option, key) in keys {
        if !is_unknown(key) && !KMS_KEY.is_match(key) {
            wrong(
                errors,
                option,
                format!("{key:?} names no KMS key"),
                "write a key's id, alias/NAME, or an ARN",
            );
        }
    }
}

/// An account's default key is that account's only.
fn sharing(raw: &Options, errors: &mut ConfigErrors) {
    let ami = &raw.ami;
    let default_key = ami.encrypt_boot == Some(true)
        && ami.kms_key_id.as_deref().unwrap_or_default().is_empty()
        && ami.region_kms_key_ids.is_empty();
    let default_elsewhere = ami.region_kms_key_ids.values().any(String::is_empty);
    let shared = [
        ("ami_users", &ami.ami_users),
        ("ami_org_arns", &ami.ami_org_arns),
        ("ami_ou_arns", &ami.ami_ou_arns),
        ("snapshot_users", &ami.snapshot_users),
    ];
    for (option, _) in shared.into_iter().filter(|(_, users)| !users.is_empty()) {
        if default_key || default_elsewhere {
            wrong(
                errors,
                option,
                "what is encrypted with the account's default key cannot be shared",
                "name keys in kms_key_id and region_kms_key_ids",
            );
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
