//! Connecting to the instance, and provisioning it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::Instance;
use ingot_communicator::{Target, Way};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{
    Communicator, Error, GeneratedData, Provisioned, Result, RunContext, Step, async_trait,
};
use tokio::time::sleep;

use super::State;
use super::launch::describe;
use crate::ebs::options::given;

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
            let host = host(state).await?;
            let key_pair = state.key.clone();
            let port = state.tunnel.as_ref().map(|tunnel| tunnel.port);
            let target = Target { host, port, key_pair, password: state.password.clone() };
            let connecting = state.settings.communication.connect(ctx, &target);
            let communicator = match &state.tunnel {
                None => connecting.await?,
                Some(tunnel) => tokio::select! {
                    connected = connecting => connected?,
                    failure = tunnel.failure() => return Err(failure),
                },
            };
            (state.communicator, state.target) = (Some(communicator), Some(target));
        }
        state.data = state.generated_data(ctx);
        Ok(())
    }

    async fn cleanup(&self, _: &RunContext, state: &mut State, _: Outcome) {
        state.communicator = None;
    }
}

/// Where the instance takes connections.
async fn host(state: &mut State) -> Result<String> {
    if let Some(host) = state.settings.communication.host() {
        return Ok(host.to_owned());
    }
    if state.tunnel.is_some() {
        return Ok("localhost".to_owned());
    }
    let interface = given(&state.settings.raw.network.ssh_interface).map(str::to_owned);
    let id = state.instance_id()?.to_owned();
    for look in 1..=LOOKS {
        let last = look == LOOKS;
        if let Some(host) = address(state.instance()?, interface.as_deref(), last) {
            return Ok(host);
        }
        if !last {
            sleep(PAUSE).await;
            if let Some(instance) = describe(state, &id).await? {
                state.instance = Some(instance);
            }
        }
    }
    let kind = interface.as_deref().unwrap_or("address");
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
        self.data.clone()
    }

    async fn provisioned(&mut self, ctx: &RunContext) -> Result<()> {
        if let (Way::Ssh(ssh), Some(communicator), Some(key)) =
            (&self.settings.communication.way, &self.communicator, &self.key)
        {
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
