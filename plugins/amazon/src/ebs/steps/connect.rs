//! Connecting to the instance, and provisioning it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::Instance;
use ingot_communicator::{Target, Way};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{
    Communicator, Error, GeneratedData, Provisioned, Provisioning, Result, RunContext, Step,
    async_trait,
};
use tokio::time::sleep;

use super::launch::describe;
use super::{State, states};
use crate::access::Ec2;
use crate::ebs::options::given;
use crate::ebs::settings::Settings;

/// How often to look for an address.
const LOOKS: u32 = 3;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits for the instance and connects to it.
pub(super) struct Connect;

#[async_trait]
impl Step<State> for Connect {
    fn name(&self) -> &'static str {
        "connect"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if !matches!(state.settings.communication.way, Way::None) {
            let host = match (&state.tunnel, state.instance.as_mut()) {
                (Some(_), _) => {
                    state.settings.communication.host().unwrap_or("localhost").to_owned()
                }
                (None, Some(instance)) => host(&state.ec2, &state.settings, instance).await?,
                (None, None) => return Err(Error::new("the instance was not started")),
            };
            let key_pair = state.key.clone();
            let port = state.tunnel.as_ref().map(|tunnel| tunnel.port);
            let target = Target { host, port, key_pair, password: state.password.clone() };
            let connecting = state.settings.communication.connect(ctx, &target);
            let connected = match &state.tunnel {
                None => connecting.await,
                Some(tunnel) => tokio::select! {
                    connected = connecting => connected,
                    failure = tunnel.failure() => return Err(failure),
                },
            };
            let communicator = connected.map_err(|error| state.states.blame(error))?;
            if let Some(found) = state.states.found() {
                found.forget_login(ctx, &*communicator).await;
            }
            (state.communicator, state.target) = (Some(communicator), Some(target));
        }
        state.data = state.generated_data(ctx);
        states::keep_from_here(ctx, state)
    }

    async fn cleanup(&self, _: &RunContext, state: &mut State, _: Outcome) {
        state.communicator = None;
        state.states.disconnect();
    }
}

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

#[async_trait]
impl Provisioned for State {
    fn communicator(&self) -> Option<Arc<dyn Communicator>> {
        self.communicator.clone()
    }

    fn data(&self) -> GeneratedData {
        let mut data = self.data.clone();
        data.extend(self.states.moved());
        data
    }

    fn provisioning(&self) -> Provisioning {
        self.states.provisioning()
    }

    async fn provisioned(&mut self, ctx: &RunContext) -> Result<()> {
        self.data.extend(self.states.moved());
        if let (Way::Ssh(ssh), Some(communicator), Some(key)) =
            (&self.settings.communication.way, &self.communicator, &self.key)
        {
            if ssh.clear_authorized_keys {
                self.states.go_on(ctx).await?;
            }
            ssh.clear_authorized_keys(ctx, &**communicator, key).await;
        }
        Ok(())
    }
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
