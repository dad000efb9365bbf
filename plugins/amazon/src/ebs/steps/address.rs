//! Where the instance takes connections.

use std::time::Duration;

use aws_sdk_ec2::types::Instance;
use ingot_sdk::{Error, Result};
use tokio::time::sleep;

use super::instance::describe;
use crate::access::Ec2;
use crate::ebs::options::given;
use crate::ebs::settings::Settings;

/// How often to look for an address.
const LOOKS: u32 = 3;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the instance takes connections.
pub(super) async fn host(
    ec2: &Ec2,
    settings: &Settings,
    instance: &mut Instance,
) -> Result<String> {
    if let Some(host) = settings.communication.host() {
        return Ok(host.to_owned());
    }
    let interface = given(&settings.raw.network.ssh_interface);
    let id = instance.instance_id().unwrap_or_default().to_owned();
    for look in 1..=LOOKS {
        let last = look == LOOKS;
        if let Some(host) = address(instance, interface, last) {
            return Ok(host);
        }
        if !last {
            sleep(PAUSE).await;
            if let Some(found) = describe(ec2, &id).await? {
                *instance = found;
            }
        }
    }
    let kind = interface.unwrap_or("address");
    Err(Error::new(format!("the instance {id} has no {kind}"))
        .hint("set ssh_interface to an address that its subnet gives, or ssh_host"))
}

/// The address to use. Without a wish that is the public one; in a VPC, in the end, the private
/// one.
fn address(instance: &Instance, interface: Option<&str>, last: bool) -> Option<String> {
    let address = match interface {
        Some("public_ip") => instance.public_ip_address(),
        Some("private_ip") => instance.private_ip_address(),
        Some("public_dns") => instance.public_dns_name(),
        Some("private_dns") => instance.private_dns_name(),
        Some("ipv6") => instance.ipv6_address(),
        Some(_) => None,
        None if instance.vpc_id().is_some_and(|vpc| !vpc.is_empty()) => {
            let public = instance.public_ip_address().filter(|address| !address.is_empty());
            public.or(instance.private_ip_address().filter(|_| last))
        }
        None => instance.public_dns_name(),
    };
    address.filter(|address| !address.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_one_wished_for() {
        let instance = Instance::builder()
            .vpc_id("vpc-1")
            .public_ip_address("1.2.3.4")
            .private_ip_address("10.0.0.4")
            .private_dns_name("ip-10-0-0-4.ec2.internal")
            .public_dns_name("")
            .build();
        for (interface, expected) in [
            (None, Some("1.2.3.4")),
            (Some("public_ip"), Some("1.2.3.4")),
            (Some("private_ip"), Some("10.0.0.4")),
            (Some("private_dns"), Some("ip-10-0-0-4.ec2.internal")),
            (Some("public_dns"), None),
            (Some("ipv6"), None),
        ] {
            assert_eq!(address(&instance, interface, true).as_deref(), expected, "{interface:?}");
        }
        let private = Instance::builder().vpc_id("vpc-1").private_ip_address("10.0.0.4").build();
        assert_eq!(address(&private, None, false), None);
        assert_eq!(address(&private, None, true).as_deref(), Some("10.0.0.4"));
    }
}
