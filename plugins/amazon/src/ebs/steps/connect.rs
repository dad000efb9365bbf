//! Connecting to the instance, and provisioning it.

use std::sync::Arc;

use ingot_communicator::{CommunicatorKind, Target};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{
    Communicator, Error, GeneratedData, Provisioned, Provisioning, Result, RunContext, Step,
    async_trait,
};

use super::address::host;
use super::{State, states};

/// Waits for the instance and connects to it.
pub(super) struct Connect;

#[async_trait]
impl Step<State> for Connect {
    fn name(&self) -> &'static str {
        "connect"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if !matches!(state.settings.communication.kind, CommunicatorKind::None) {
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
        if let (CommunicatorKind::Ssh(ssh), Some(communicator), Some(key)) =
            (&self.settings.communication.kind, &self.communicator, &self.key)
        {
            if ssh.clear_authorized_keys {
                self.states.go_on(ctx).await?;
            }
            ssh.clear_authorized_keys(ctx, &**communicator, key).await;
        }
        Ok(())
    }
}
