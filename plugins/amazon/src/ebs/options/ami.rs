//! The image.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::block_device::BlockDevice;
use super::given;

/// Options of the image.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct AmiOptions {
    /// The AMI's name, 3 to 128 characters: letters, digits and `()[] ./-'@_`. The function
    /// `clean_resource_name` of `{{ }}` replaces others.
    pub ami_name: String,
    /// Its description. A `{{ }}` template that knows the build's data, such as `.SourceAMI`.
    #[schemars(extend("rendered_late" = true))]
    pub ami_description: Option<String>,
    /// `hvm` or `paravirtual`: what `ena_support` and `sriov_support` may assume about the source
    /// AMI. By default the source AMI is looked at.
    pub ami_virtualization_type: Option<String>,
    /// Account ids that may launch the AMI.
    #[serde(default)]
    pub ami_users: Vec<String>,
    /// Groups that may launch it: only `all` makes sense, and makes it public.
    #[serde(default)]
    pub ami_groups: Vec<String>,
    /// ARNs of organizations that may launch it.
    #[serde(default)]
    pub ami_org_arns: Vec<String>,
    /// ARNs of organizational units that may launch it.
    #[serde(default)]
    pub ami_ou_arns: Vec<String>,
    /// Product codes to attach to the AMI.
    #[serde(default)]
    pub ami_product_codes: Vec<String>,
    /// Regions to copy the AMI to.
    #[serde(default)]
    pub ami_regions: Vec<String>,
    /// Do not ask AWS whether the regions exist.
    #[serde(default)]
    pub skip_region_validation: bool,
    /// Minutes in which the snapshots of copies have to be ready; AWS charges for that.
    pub snapshot_copy_duration_minutes: Option<i64>,
    /// Set or clear enhanced networking by ENA on the instance before the AMI is made.
    pub ena_support: Option<bool>,
    /// Set enhanced networking by SR-IOV (`simple`) on the instance before the AMI is made.
    #[serde(default)]
    pub sriov_support: bool,
    /// Replace AMIs of the same name. Implied by `-force`.
    #[serde(default)]
    pub force_deregister: bool,
    /// With `force_deregister`: delete the snapshots of the AMIs that are replaced.
    #[serde(default)]
    pub force_delete_snapshot: bool,
    /// Whether the AMI's volumes are encrypted. True makes an encrypted copy and removes the
    /// first image. By default they are as the source AMI's.
    pub encrypt_boot: Option<bool>,
    /// The KMS key for `encrypt_boot` in the build's region: a key id, an alias or an ARN. By
    /// default the account's key for EBS.
    pub kms_key_id: Option<String>,
    /// The KMS keys in each of `ami_regions`. An empty one is the account's default.
    #[serde(default)]
    pub region_kms_key_ids: BTreeMap<String, String>,
    /// Keep the AMI in `ami_regions` only.
    #[serde(default)]
    pub skip_save_build_region: bool,
    /// `v2.0` has instances of this AMI require version 2 of the metadata service.
    pub imds_support: Option<String>,
    /// When the AMI counts as deprecated: `YYYY-MM-DDTHH:MM:SSZ`.
    pub deprecate_at: Option<String>,
    /// Account ids that may use the AMI's snapshots.
    #[serde(default)]
    pub snapshot_users: Vec<String>,
    /// Groups that may use them: `all`.
    #[serde(default)]
    pub snapshot_groups: Vec<String>,
    /// Protects the AMI from being deregistered.
    pub deregistration_protection: Option<DeregistrationProtection>,
    /// Create no AMI: only run the instance and the provisioners.
    #[serde(default)]
    pub skip_create_ami: bool,
    /// Do not give the AMI the tags of `run_tags`.
    #[serde(default)]
    pub skip_ami_run_tags: bool,
    /// Disks of instances that are launched from the AMI.
    #[serde(default)]
    pub ami_block_device_mappings: Vec<BlockDevice>,
    /// Has instances of a Windows AMI start fast: EC2 keeps snapshots ready that went through the
    /// first start. The AMI has to be prepared with Sysprep.
    pub fast_launch: Option<FastLaunch>,
}

/// Protection from being deregistered.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct DeregistrationProtection {
    /// Turn it on.
    #[serde(default)]
    pub enabled: bool,
    /// Turn it on, and keep it for a day after it is turned off.
    #[serde(default)]
    pub with_cooldown: bool,
}

/// Fast launching of Windows.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct FastLaunch {
    /// Turn it on. Any other option of the block does so too.
    #[serde(default)]
    pub enable_fast_launch: bool,
    /// The launch template in the build's region that EC2 uses, by its id. EC2 has one of its own
    /// by default.
    pub template_id: Option<String>,
    /// The same by its name.
    pub template_name: Option<String>,
    /// The launch template's version. By default its latest one.
    pub template_version: Option<i64>,
    /// Launch templates of copies of the AMI, by region.
    #[serde(default)]
    pub region_launch_templates: Vec<RegionLaunchTemplate>,
    /// How many instances EC2 starts at once to prepare snapshots, 6 or more. By default as EC2
    /// does.
    pub max_parallel_launches: Option<i32>,
    /// How many snapshots are kept ready. By default as EC2 does, which is 5.
    pub target_resource_count: Option<i32>,
}

impl FastLaunch {
    /// Whether it is on: any option turns it on, as in Packer.
    pub fn is_enabled(&self) -> bool {
        let counts = [self.max_parallel_launches, self.target_resource_count];
        self.enable_fast_launch
            || self.has_template()
            || self.template_version.is_some_and(|version| version != 0)
            || !self.region_launch_templates.is_empty()
            || counts.into_iter().flatten().any(|count| count != 0)
    }

    /// Whether a launch template of the build's region is named.
    pub fn has_template(&self) -> bool {
        given(&self.template_id).or(given(&self.template_name)).is_some()
    }
}

/// Fast launching of the copy in one region.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct RegionLaunchTemplate {
    /// False turns it off in this region.
    pub enable_fast_launch: Option<bool>,
    /// The region.
    pub region: Option<String>,
    /// The launch template's id.
    pub template_id: Option<String>,
    /// The launch template's name.
    pub template_name: Option<String>,
    /// The launch template's version. By default its latest one.
    pub template_version: Option<i64>,
}

impl RegionLaunchTemplate {
    /// Whether it is on in this region.
    pub fn is_enabled(&self) -> bool {
        self.enable_fast_launch != Some(false)
    }
}

/// `name` with what an AMI's name cannot hold replaced by dashes, byte by byte as Packer does it.
pub(crate) fn clean_name(name: &str) -> String {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"()[] ./-'@_".contains(&byte);
    name.bytes().map(|byte| if allowed(byte) { char::from(byte) } else { '-' }).collect()
}

/// The function `clean_resource_name` of `{{ }}`.
pub(crate) fn clean_function(arguments: &[Value]) -> Result<Value, String> {
    match arguments {
        [Value::String(name)] => Ok(clean_name(name).into()),
        _ => Err("it takes one text".to_owned()),
    }
}
