//! The network.

use ingot_sdk::ConfigErrors;
use ingot_sdk::config::is_unknown;

use super::{one_of, wrong};
use crate::ebs::options::{Options, given};
use crate::ebs::settings::{Cidr, known};

const INTERFACES: &[&str] = &["public_ip", "private_ip", "public_dns", "private_dns", "ipv6"];

/// Checks the network.
pub fn network(raw: &Options, errors: &mut ConfigErrors, warnings: &mut Vec<String>) {
    let network = &raw.network;
    let own = given(&network.security_group_id).is_some()
        || !network.security_group_ids.is_empty()
        || network.security_group_filter.as_ref().is_some_and(|filter| !filter.all().is_empty());
    for (option, set) in [
        (
            "temporary_security_group_source_cidrs",
            !network.temporary_security_group_source_cidrs.is_empty(),
        ),
        (
            "temporary_security_group_source_public_ip",
            network.temporary_security_group_source_public_ip,
        ),
    ] {
        if set && own {
            warnings.push(format!(
                "`{option}` has no effect: the instance has security groups of yours, so that \
                 none is made for the build"
            ));
        }
    }
    if given(&network.security_group_id).is_some() && !network.security_group_ids.is_empty() {
        wrong(
            errors,
            "security_group_id",
            "security_group_id and security_group_ids exclude each other",
            "keep one of them",
        );
    }
    let cidrs = network.temporary_security_group_source_cidrs.iter();
    for text in cidrs.filter(|text| !is_unknown(text)) {
        if Cidr::parse(text).is_none() {
            wrong(
                errors,
                "temporary_security_group_source_cidrs",
                format!("{text:?} is not a block of addresses"),
                "write it like \"192.0.2.0/24\"; one address is \"192.0.2.1/32\"",
            );
        }
    }
    match known(&network.ssh_interface) {
        Some("session_manager") => wrong(
            errors,
            "ssh_interface",
            "connecting through AWS Systems Manager is not supported yet",
            "forward a port with `aws ssm start-session --document-name \
             AWS-StartPortForwardingSession` and set ssh_host and ssh_port, or reach the \
             instance by its private_ip or a bastion (ssh_bastion_host)",
        ),
        interface => one_of(errors, "ssh_interface", interface, INTERFACES),
    }
    for (option, set) in [
        ("pause_before_ssm", network.pause_before_ssm.is_some_and(|pause| !pause.0.is_zero())),
        ("session_manager_port", network.session_manager_port.is_some_and(|port| port != 0)),
    ] {
        if set {
            wrong(
                errors,
                option,
                "connecting through AWS Systems Manager is not supported yet",
                "remove the option",
            );
        }
    }
}
