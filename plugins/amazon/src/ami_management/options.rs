//! The options.

use std::collections::BTreeMap;

use ingot_sdk::{ConfigError, ConfigErrors};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::AccessOptions;

/// The most days that an AMI can be kept; more than AWS is old.
const MOST_DAYS: i64 = 36_500;

/// The options of `amazon-ami-management`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Options {
    #[serde(flatten)]
    pub(super) access: AccessOptions,
    /// The value of the tag `Amazon_AMI_Management_Identifier` that the AMIs have. This or `tags` is
    /// needed.
    pub(super) identifier: Option<String>,
    /// The tags that the AMIs have, where `identifier` is not set.
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    /// How many AMIs to keep, that of this build included. This or `keep_days` is needed.
    #[serde(default)]
    pub(super) keep_releases: i64,
    /// For how many days to keep AMIs.
    #[serde(default)]
    pub(super) keep_days: i64,
    /// The regions to remove AMIs in.
    #[serde(default)]
    pub(super) regions: Vec<String>,
    /// Whether to ask AWS which AMI a launch template means that names a parameter of Systems
    /// Manager. Needs the permission `ssm:GetParameters`.
    #[serde(default)]
    pub(super) resolve_aliases: bool,
    /// Only list what would be removed.
    #[serde(default)]
    pub(super) dry_run: bool,
    /// Has no effect; the plugin of this name knows it still.
    #[serde(default, rename = "skip_region_validation")]
    pub(super) _skip_region_validation: bool,
}

impl Options {
    /// `identifier`, unless it is empty.
    pub(super) fn identifier(&self) -> Option<&str> {
        self.identifier.as_deref().filter(|identifier| !identifier.is_empty())
    }

    /// Adds what is wrong.
    pub(super) fn check(&self, errors: &mut ConfigErrors) {
        self.access.check(errors);
        if self.identifier().is_none() && self.tags.is_empty() {
            errors.push(
                ConfigError::on("identifier", "`identifier` or `tags` must be set")
                    .related(["tags"])
                    .hint("give the AMIs a tag of their own, and name it here"),
            );
        }
        match (self.keep_releases, self.keep_days) {
            (0, 0) => errors.push(
                ConfigError::on("keep_releases", "`keep_releases` or `keep_days` must be set")
                    .related(["keep_days"])
                    .hint("for example keep_releases = 3"),
            ),
            (releases, days) if releases != 0 && days != 0 => errors.push(
                ConfigError::on(
                    "keep_days",
                    "`keep_releases` and `keep_days` cannot be set at the same time",
                )
                .related(["keep_releases"]),
            ),
            (releases, 0) if releases < 1 => {
                errors.push(ConfigError::on("keep_releases", "this must be 1 or more"));
            }
            (0, days) if !(1..=MOST_DAYS).contains(&days) => {
                let message = format!("this must be from 1 to {MOST_DAYS}");
                errors.push(ConfigError::on("keep_days", message));
            }
            _ => {}
        }
        if self.regions.is_empty() {
            errors
                .push(ConfigError::on("regions", "no region is given").hint(
                    "list those that the AMIs are in, for example regions = [\"us-east-1\"]",
                ));
        }
        if self.regions.iter().any(|region| region.trim().is_empty()) {
            errors.push(ConfigError::on("regions", "this is not a region"));
        }
    }
}
