//! The instance that is provisioned.

use ingot_sdk::GoDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::block_device::BlockDevice;
use crate::filter::AmiFilter;

/// Options of the instance.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct InstanceOptions {
    /// The AMI to start from. This or `source_ami_filter` is needed.
    pub source_ami: Option<String>,
    /// Finds the AMI to start from.
    pub source_ami_filter: Option<AmiFilter>,
    /// The type of the instance, such as `t3.micro`. This or `spot_instance_types` is needed.
    pub instance_type: Option<String>,
    /// Disks to attach to the instance. They are part of the AMI.
    #[serde(default)]
    pub launch_block_device_mappings: Vec<BlockDevice>,
    /// Leave out the 26 instance store volumes that Windows AMIs have by default.
    #[serde(default)]
    pub no_ephemeral: bool,
    /// Use EBS-optimized throughput.
    #[serde(default)]
    pub ebs_optimized: bool,
    /// Allow enclaves.
    #[serde(default)]
    pub enable_nitro_enclave: bool,
    /// The old name of `enable_unlimited_credits`.
    #[serde(default)]
    pub enable_t2_unlimited: bool,
    /// Let T2, T3 and T4g instances use more CPU than they have credits for.
    #[serde(default)]
    pub enable_unlimited_credits: bool,
    /// Do not stop the instance before the AMI is created; a provisioner has to.
    #[serde(default)]
    pub disable_stop_instance: bool,
    /// What becomes of the instance when it shuts itself down: `stop` (the default) or
    /// `terminate`.
    pub shutdown_behavior: Option<String>,
    /// The instance profile to run with.
    pub iam_instance_profile: Option<String>,
    /// Do not ask IAM whether `iam_instance_profile` exists.
    #[serde(default)]
    pub skip_profile_validation: bool,
    /// Create an instance profile with this policy, for the build only.
    pub temporary_iam_instance_profile_policy_document: Option<PolicyDocument>,
    /// The script or data that the instance gets when it starts. Base64 is passed on as it is.
    pub user_data: Option<String>,
    /// A file with it.
    #[schemars(extend("reads" = "paths"))]
    pub user_data_file: Option<String>,
    /// The metadata service.
    pub metadata_options: Option<MetadataOptions>,
    /// Where the instance is placed.
    pub placement: Option<Placement>,
    /// The old name of `placement`'s `tenancy`.
    pub tenancy: Option<String>,
    /// Whether capacity reservations are used: `none` (the default) or `open`.
    pub capacity_reservation_preference: Option<String>,
    /// Use this capacity reservation.
    pub capacity_reservation_id: Option<String>,
    /// Use a capacity reservation of this group.
    pub capacity_reservation_group_arn: Option<String>,
    /// Licenses to use.
    #[serde(default)]
    pub license_specifications: Vec<LicenseSpecification>,
    /// How long to wait for the password of a Windows instance. Default 20m.
    pub windows_password_timeout: Option<GoDuration>,
}

/// The metadata service of an instance.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct MetadataOptions {
    /// `enabled` (the default) or `disabled`.
    pub http_endpoint: Option<String>,
    /// Whether requests need a token: `optional` (the default) or `required`.
    pub http_tokens: Option<String>,
    /// How many hops a response may travel, 1 (the default) to 64.
    pub http_put_response_hop_limit: Option<i32>,
    /// Whether it tells the instance's tags: `enabled` or `disabled` (the default).
    pub instance_metadata_tags: Option<String>,
}

/// Where an instance is placed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Placement {
    /// The host resource group.
    pub host_resource_group_arn: Option<String>,
    /// The dedicated host.
    pub host_id: Option<String>,
    /// `default`, `dedicated` or `host`.
    pub tenancy: Option<String>,
}

/// A license.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct LicenseSpecification {
    /// The license configuration.
    pub license_configuration_request: Option<LicenseConfigurationRequest>,
}

/// Names a license.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct LicenseConfigurationRequest {
    /// Its ARN.
    pub license_configuration_arn: Option<String>,
}

/// A policy, as IAM writes it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
pub struct PolicyDocument {
    /// The version of the policy language: `2012-10-17`.
    #[serde(rename = "Version")]
    pub version: Option<String>,
    /// The statements.
    #[serde(rename = "Statement", default)]
    pub statement: Vec<Statement>,
}

/// A statement of a policy.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
pub struct Statement {
    /// `Allow` or `Deny`.
    #[serde(rename = "Effect")]
    pub effect: Option<String>,
    /// The actions that it allows or denies.
    #[serde(rename = "Action", default)]
    pub action: Vec<String>,
    /// The resources that it is about.
    #[serde(rename = "Resource", default)]
    pub resource: Vec<String>,
}
