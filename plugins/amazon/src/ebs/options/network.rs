//! The network of the instance, and who reaches it.

use std::collections::BTreeMap;

use ingot_sdk::GoDuration;
use schemars::JsonSchema;
use serde::Deserialize;

/// The `ssh_interface` that is no address but a session of AWS Systems Manager.
pub(crate) const SESSION_MANAGER: &str = "session_manager";

/// Options of the network.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct NetworkOptions {
    /// The VPC to run in. By default the region's default VPC, or the subnet's.
    pub vpc_id: Option<String>,
    /// Finds the VPC; exactly one has to match.
    pub vpc_filter: Option<NameFilter>,
    /// The subnet to run in.
    pub subnet_id: Option<String>,
    /// Finds the subnet.
    pub subnet_filter: Option<SubnetFilter>,
    /// The availability zone to run in.
    pub availability_zone: Option<String>,
    /// Whether the instance gets a public address. By default as the subnet says.
    pub associate_public_ip_address: Option<bool>,
    /// The security group of the instance. By default one is created for the build.
    pub security_group_id: Option<String>,
    /// Its security groups.
    #[serde(default)]
    pub security_group_ids: Vec<String>,
    /// Finds its security groups.
    pub security_group_filter: Option<NameFilter>,
    /// The addresses that the build's own security group lets in, as CIDR blocks. Default
    /// `0.0.0.0/0`.
    #[serde(default)]
    pub temporary_security_group_source_cidrs: Vec<String>,
    /// Let in only this machine's public address, as <https://checkip.amazonaws.com> tells it.
    #[serde(default)]
    pub temporary_security_group_source_public_ip: bool,
    /// The address to connect to: `public_ip`, `private_ip`, `public_dns`, `private_dns` or
    /// `ipv6`. By default the public address or, in a VPC without, the private one. With
    /// `session_manager` the instance is reached through AWS Systems Manager, without an address:
    /// AWS's program `session-manager-plugin` has to be installed.
    pub ssh_interface: Option<String>,
    /// With `session_manager`: how long to wait before a session is opened. No pause by default.
    pub pause_before_ssm: Option<GoDuration>,
    /// The port of this machine that a session forwards, with `session_manager`. By default any
    /// that is free.
    pub session_manager_port: Option<u16>,
}

/// Finds something by its attributes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct NameFilter {
    /// Values by name, as EC2's `describe` calls take them; several values with commas.
    #[serde(default)]
    pub filters: BTreeMap<String, String>,
    /// The same as blocks.
    #[serde(default)]
    pub filter: Vec<Filter>,
}

/// Finds a subnet.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct SubnetFilter {
    /// Values by name, as EC2's `DescribeSubnets` takes them; several values with commas.
    #[serde(default)]
    pub filters: BTreeMap<String, String>,
    /// The same as blocks.
    #[serde(default)]
    pub filter: Vec<Filter>,
    /// Of several, take the one with the most free addresses.
    #[serde(default)]
    pub most_free: bool,
    /// Of several, take any.
    #[serde(default)]
    pub random: bool,
}

/// One attribute of what is looked for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Filter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Both forms as one.
fn merged(filters: &BTreeMap<String, String>, blocks: &[Filter]) -> BTreeMap<String, String> {
    let mut all = filters.clone();
    all.extend(blocks.iter().map(|filter| (filter.name.clone(), filter.value.clone())));
    all
}

impl NameFilter {
    /// All values by name.
    pub fn all(&self) -> BTreeMap<String, String> {
        merged(&self.filters, &self.filter)
    }
}

impl SubnetFilter {
    /// All values by name.
    pub fn all(&self) -> BTreeMap<String, String> {
        merged(&self.filters, &self.filter)
    }
}
