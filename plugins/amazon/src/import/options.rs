//! The options. Names and defaults are Packer's.

use std::collections::BTreeMap;

use ingot_sdk::{ConfigError, ConfigErrors, ConfigWarning, Schema, TemplateFunction};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::AccessOptions;
use crate::ebs::checks::{kms_key, name, one_of};
use crate::ebs::options::{clean_function, given};
use crate::polling;
use crate::s3::is_bucket_name;

/// The options of `amazon-import`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Options {
    #[serde(flatten)]
    pub(super) access: AccessOptions,
    /// The bucket that the disk is uploaded to. It must exist, in the region of the import.
    #[serde(default)]
    pub(super) s3_bucket_name: String,
    /// The key of the object in the bucket. A `{{ }}` template that knows the build's data. Default:
    /// `packer-import-{{timestamp}}-`, something of the import's own, and the format.
    #[schemars(extend("rendered_late" = true))]
    pub(super) s3_key_name: Option<String>,
    /// How S3 encrypts the object, which is not how the AMI is encrypted: `AES256` or `aws:kms`.
    /// Default: as the bucket says.
    pub(super) s3_encryption: Option<String>,
    /// The KMS key for `aws:kms`. Default: the account's.
    pub(super) s3_encryption_key: Option<String>,
    /// Whether the object stays in the bucket after an import that succeeds.
    #[serde(default)]
    pub(super) skip_clean: bool,
    /// Tags of the AMI and its snapshots.
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    /// The AMI's name. The AMI is copied to it, as AWS names what it imports itself.
    pub(super) ami_name: Option<String>,
    /// The AMI's description. Default: AWS's.
    pub(super) ami_description: Option<String>,
    /// Account ids that may launch the AMI.
    #[serde(default)]
    pub(super) ami_users: Vec<String>,
    /// Groups that may launch it: only `all` makes sense, and makes it public.
    #[serde(default)]
    pub(super) ami_groups: Vec<String>,
    /// ARNs of organizations that may launch it.
    #[serde(default)]
    pub(super) ami_org_arns: Vec<String>,
    /// ARNs of organizational units that may launch it.
    #[serde(default)]
    pub(super) ami_ou_arns: Vec<String>,
    /// Whether the AMI's volumes are encrypted.
    #[serde(default)]
    pub(super) ami_encrypt: bool,
    /// The KMS key for `ami_encrypt`. Default: the account's.
    pub(super) ami_kms_key: Option<String>,
    /// `v2.0` has instances answer requests of version 2 of the metadata service only.
    pub(super) imds_support: Option<String>,
    /// Whose licence of Windows it is: `AWS` or `BYOL`.
    pub(super) license_type: Option<String>,
    /// The role that EC2 takes on to read the bucket. Default: `vmimport`.
    pub(super) role_name: Option<String>,
    /// The disk's format: `ova`, `raw`, `vhd`, `vhdx` or `vmdk`. The first file of the artifact with
    /// this ending is taken. Default: `ova`.
    pub(super) format: Option<String>,
    /// `i386`, `x86_64` or `arm64`. Default: `x86_64`.
    pub(super) architecture: Option<String>,
    /// `legacy-bios` or `uefi`. Default: `uefi` for `arm64`, else `legacy-bios`.
    pub(super) boot_mode: Option<String>,
    /// The operating system: `linux` or `windows`. Needed for `uefi`.
    pub(super) platform: Option<String>,
}

/// The schema, with the function that all options of this plugin have.
pub(super) fn schema() -> Schema {
    let mut schema = Schema::of::<Options>();
    let clean = TemplateFunction { name: "clean_resource_name", run: clean_function };
    schema.functions.push(clean);
    schema
}

impl Options {
    pub(super) fn format(&self) -> &str {
        given(&self.format).unwrap_or("ova")
    }

    pub(super) fn architecture(&self) -> &str {
        given(&self.architecture).unwrap_or("x86_64")
    }

    pub(super) fn boot_mode(&self) -> &str {
        let arm = self.architecture() == "arm64";
        given(&self.boot_mode).unwrap_or(if arm { "uefi" } else { "legacy-bios" })
    }

    /// The template of the object's key. `own` keeps apart the defaults of imports that begin in the same
    /// second, as those of one run do.
    pub(super) fn key_template(&self, own: &str) -> String {
        let default = || format!("packer-import-{{{{timestamp}}}}-{own}.{}", self.format());
        given(&self.s3_key_name).map_or_else(default, str::to_owned)
    }

    /// The headers that tell S3 how to encrypt the object.
    pub(super) fn encryption(&self) -> Vec<(&'static str, String)> {
        let Some(kind) = given(&self.s3_encryption) else { return Vec::new() };
        let mut headers = vec![("x-amz-server-side-encryption", kind.to_owned())];
        if let Some(key) = given(&self.s3_encryption_key).filter(|_| kind == KMS) {
            headers.push(("x-amz-server-side-encryption-aws-kms-key-id", key.to_owned()));
        }
        headers
    }

    /// Adds what is wrong.
    pub(super) fn check(&self, errors: &mut ConfigErrors) {
        self.access.check(errors);
        self.check_object(errors);
        self.check_machine(errors);
        if let Some(wanted) = given(&self.ami_name) {
            name(wanted, errors);
        }
        if let Some(key) = given(&self.ami_kms_key) {
            kms_key("ami_kms_key", key, errors);
        }
        one_of(errors, "imds_support", given(&self.imds_support), &["v2.0"]);
    }

    fn check_object(&self, errors: &mut ConfigErrors) {
        let bucket = self.s3_bucket_name.as_str();
        if bucket.is_empty() {
            errors.push(
                ConfigError::on("s3_bucket_name", "`s3_bucket_name` must be set")
                    .hint("name a bucket in the region of the import"),
            );
        } else if !is_bucket_name(bucket) {
            errors.push(
                ConfigError::on(
                    "s3_bucket_name",
                    format!("{bucket:?} is not the name of a bucket"),
                )
                .hint("write the name alone, without s3:// and without a path"),
            );
        }
        if let Some(message) = bad_key(&self.key_template("")) {
            errors.push(ConfigError::on("s3_key_name", message));
        }
        one_of(errors, "s3_encryption", given(&self.s3_encryption), &["AES256", KMS]);
        one_of(errors, "format", given(&self.format), &["ova", "raw", "vhd", "vhdx", "vmdk"]);
    }

    fn check_machine(&self, errors: &mut ConfigErrors) {
        let architectures = &["i386", "x86_64", "arm64"];
        one_of(errors, "architecture", given(&self.architecture), architectures);
        one_of(errors, "license_type", given(&self.license_type), &["AWS", "BYOL"]);
        one_of(errors, "boot_mode", given(&self.boot_mode), &["legacy-bios", "uefi"]);
        one_of(errors, "platform", given(&self.platform), &["linux", "windows"]);
        if self.architecture() == "arm64" && given(&self.boot_mode) == Some("legacy-bios") {
            errors.push(
                ConfigError::on("boot_mode", "machines of `arm64` boot by UEFI only")
                    .related(["architecture"])
                    .hint("set boot_mode = \"uefi\", or remove it"),
            );
        }
        if self.boot_mode() == "uefi" && given(&self.platform).is_none() {
            errors.push(
                ConfigError::on(
                    "platform",
                    "`platform` must be set for machines that boot by UEFI",
                )
                .related(["boot_mode", "architecture"])
                .hint("write \"linux\" or \"windows\""),
            );
        }
    }

    /// What has no effect, or what AWS may refuse in the end.
    pub(super) fn warnings(&self) -> Vec<ConfigWarning> {
        let polling = polling::warnings(self.access.aws_polling.as_ref());
        let mut warnings: Vec<_> = polling.into_iter().map(ConfigWarning::from).collect();
        let mut warn = |option: &str, message: &str| {
            warnings.push(ConfigWarning::on(option, format!("`{option}` {message}")));
        };
        if given(&self.s3_encryption_key).is_some() && given(&self.s3_encryption) != Some(KMS) {
            warn("s3_encryption_key", "has no effect without s3_encryption = \"aws:kms\"");
        }
        if given(&self.ami_kms_key).is_some() && !self.ami_encrypt {
            warn("ami_kms_key", "has no effect without ami_encrypt = true");
        }
        if self.ami_encrypt && !self.ami_groups.is_empty() {
            warn(
                "ami_groups",
                "will be refused at the end: AWS makes nothing public that is encrypted",
            );
        }
        let shared = [
            ("ami_users", &self.ami_users),
            ("ami_org_arns", &self.ami_org_arns),
            ("ami_ou_arns", &self.ami_ou_arns),
        ];
        if self.ami_encrypt && given(&self.ami_kms_key).is_none() {
            for (option, _) in shared.into_iter().filter(|(_, list)| !list.is_empty()) {
                warn(
                    option,
                    "may be refused at the end: what is encrypted with the account's default key \
                     cannot be shared; name a key in ami_kms_key",
                );
            }
        }
        warnings
    }
}

const KMS: &str = "aws:kms";

/// What is wrong with a key as the path of an object.
pub(super) fn bad_key(key: &str) -> Option<String> {
    let dots = key.split('/').any(|part| matches!(part, "." | ".."));
    let bad = dots || key.is_empty() || key.len() > 1024 || key.chars().any(char::is_control);
    bad.then(|| {
        format!(
            "{key:?} cannot be the key of an object: it has 1 to 1024 bytes, no control characters, \
             and no part that is . or .."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_plugin() {
        let options = Options::default();
        assert_eq!(options.key_template("a1"), "packer-import-{{timestamp}}-a1.ova");
        assert_eq!((options.architecture(), options.boot_mode()), ("x86_64", "legacy-bios"));
        let arm = Options { architecture: Some("arm64".into()), ..Options::default() };
        assert_eq!(arm.boot_mode(), "uefi");
        let raw = Options { format: Some("raw".into()), ..Options::default() };
        assert_eq!(raw.key_template("b2"), "packer-import-{{timestamp}}-b2.raw");
        let given = Options { s3_key_name: Some("a.raw".into()), ..raw };
        assert_eq!(given.key_template("b2"), "a.raw");
    }

    #[test]
    fn a_key_of_kms_goes_with_kms_only() {
        let headers = |kind: &str| {
            let options = Options {
                s3_encryption: Some(kind.to_owned()),
                s3_encryption_key: Some("alias/a".to_owned()),
                ..Options::default()
            };
            options.encryption().len()
        };
        assert_eq!((headers(""), headers("AES256"), headers("aws:kms")), (0, 1, 2));
    }

    #[test]
    fn invalid_keys_are_refused() {
        for key in ["", "a/../b", "..", "./a", "a\nb"] {
            assert!(bad_key(key).is_some(), "{key:?}");
        }
        for key in ["a", "/a", "a//b", "a.b/c..d", "images/{{timestamp}}.raw"] {
            assert!(bad_key(key).is_none(), "{key:?}");
        }
    }
}
