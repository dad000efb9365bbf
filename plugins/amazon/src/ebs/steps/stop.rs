//! Stopping the instance, and what can be changed then.

use aws_sdk_ec2::types::{AttributeBooleanValue, AttributeValue};
use ingot_sdk::{Result, RunContext, Step, async_trait};

use super::{State, power, tunnel};
use crate::failure::During;

/// Stops the instance, so that its disks are at rest.
pub(super) struct Stop;

#[async_trait]
impl Step<State> for Stop {
    fn name(&self) -> &'static str {
        "stop instance"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        state.communicator = None;
        state.states.disconnect();
        // Its session would end with the instance, and be opened again.
        tunnel::close(ctx, state).await;
        if state.settings.is_spot() || state.settings.raw.ami.skip_create_ami {
            // A spot instance of this kind cannot be stopped, and one that no AMI is made of need
            // not be: it is terminated next.
            return Ok(());
        }
        let id = state.instance_id()?;
        if state.settings.raw.instance.disable_stop_instance {
            ctx.ui.say("Automatic instance stop disabled. Please stop instance manually.");
        } else {
            ctx.ui.say("Stopping the source instance...");
            ctx.ui.message("Stopping instance");
            power::ask_to_stop(&state.ec2, &state.patience(ctx), id).await?;
        }
        ctx.ui.say("Waiting for the instance to stop...");
        power::stopped(&ctx.ui, &state.access, &state.ec2, id).await
    }
}

/// Sets what the template says about enhanced networking.
pub(super) struct Modify;

#[async_trait]
impl Step<State> for Modify {
    fn name(&self) -> &'static str {
        "modify instance"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let ami = &state.settings.raw.ami;
        if ami.skip_create_ami || state.settings.is_spot() {
            // A spot instance runs on, and EC2 modifies none that runs.
            return Ok(());
        }
        let id = state.instance_id()?;
        if ami.sriov_support {
            ctx.ui.say("Enabling Enhanced Networking (SR-IOV)...");
            let simple = AttributeValue::builder().value("simple").build();
            let request = state.ec2.modify_instance_attribute().instance_id(id);
            let call = request.sriov_net_support(simple).send().await;
            call.during("enabling enhanced networking (SR-IOV)")?;
        }
        if let Some(enable) = ami.ena_support {
            let verb = if enable { "Enabling" } else { "Disabling" };
            ctx.ui.say(format!("{verb} Enhanced Networking (ENA)..."));
            let value = AttributeBooleanValue::builder().value(enable).build();
            let request = state.ec2.modify_instance_attribute().instance_id(id);
            let call = request.ena_support(value).send().await;
            call.during(format!("{} enhanced networking (ENA)", verb.to_lowercase()))?;
        }
        Ok(())
    }
}
