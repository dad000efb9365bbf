//! The network.

use ingot_sdk::{ConfigErrors, ConfigWarning};

use super::{one_of, wrong, wrong_with};
use crate::ebs::choices::Cidr;
use crate::ebs::options::{Options, SESSION_MANAGER, given};

const INTERFACES: &[&str] =
    &["public_ip", "private_ip", "public_dns", "private_dns", "ipv6", SESSION_MANAGER];

/// Checks the network.
pub(crate) fn network(raw: &Options, errors: &mut ConfigErrors, warnings: &mut Vec<ConfigWarning>) {
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
            let message = format!(
                "`{option}` has no effect: the instance has security groups of yours, so that \
                 none is made for the build"
            );
            warnings.push(ConfigWarning::on(option, message));
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
    for text in &network.temporary_security_group_source_cidrs {
        if Cidr::parse(text).is_none() {
            wrong(
                errors,
                "temporary_security_group_source_cidrs",
                format!("{text:?} is not a block of addresses"),
                "write it like \"192.0.2.0/24\"; one address is \"192.0.2.1/32\"",
            );
        }
    }
    one_of(errors, "ssh_interface", given(&network.ssh_interface), INTERFACES);
    session_manager(raw, errors, warnings);
}

/// Checks what a session of Systems Manager needs.
fn session_manager(raw: &Options, errors: &mut ConfigErrors, warnings: &mut Vec<ConfigWarning>) {
    let network = &raw.network;
    if given(&network.ssh_interface) != Some(SESSION_MANAGER) {
        for (option, set) in [
            ("pause_before_ssm", network.pause_before_ssm.is_some_and(|pause| !pause.0.is_zero())),
            ("session_manager_port", network.session_manager_port.is_some_and(|port| port != 0)),
        ] {
            if set {
                let message = format!(
                    "`{option}` has no effect without ssh_interface = \"{SESSION_MANAGER}\""
                );
                warnings.push(ConfigWarning::on(option, message));
            }
        }
        return;
    }
    match raw.communicator.kind() {
        "winrm" => wrong(
            errors,
            "ssh_interface",
            "a session of Systems Manager is for SSH, and the communicator is winrm",
            "set communicator = \"ssh\", which Windows can have too, or choose an address",
        ),
        "none" => {
            warnings.push(ConfigWarning::on(
                "ssh_interface",
                "`ssh_interface` has no effect with communicator = \"none\"",
            ));
        }
        _ => {}
    }
    let profile = given(&raw.instance.iam_instance_profile).is_some()
        || raw.instance.temporary_iam_instance_profile_policy_document.is_some();
    if !profile {
        wrong_with(
            errors,
            (
                "ssh_interface",
                &["iam_instance_profile", "temporary_iam_instance_profile_policy_document"],
            ),
            "Systems Manager reaches instances with an instance profile only",
            "set iam_instance_profile to one with AmazonSSMManagedInstanceCore, or create one with \
             temporary_iam_instance_profile_policy_document",
        );
    }
}
