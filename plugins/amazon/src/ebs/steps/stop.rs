//! Stopping the instance, and what can be changed then.

use aws_sdk_ec2::types::{AttributeBooleanValue, AttributeValue, InstanceStateName};
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};

use super::launch::describe;
use super::{State, tunnel};
use crate::ebs::creation::create;
use crate::ebs::pace;
use crate::ebs::wait::{Look, until};
use crate::failure::{During, Failure, Kind};

/// Stops the instance, so that its disks are at rest.
pub(super) struct Stop;

#[async_trait]
impl Step<State> for Stop {
    fn name(&self) -> &'static str {
        "stop instance"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        state.communicator = None;
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
            let stop = || async {
                let call = state.ec2.stop_instances().instance_ids(id).send().await;
                call.during("stopping the instance").map(drop)
            };
            let soon = |failure: &Failure| failure.kind == Kind::NotFound;
            create(&state.patience(ctx), stop, || async { Ok(None) }, soon).await?;
        }
        ctx.ui.say("Waiting for the instance to stop...");
        let pace = pace::quick(state.access.polling(), pace::MACHINE);
        let look = || async {
            let instance = describe(state, id).await?;
            let name = instance.as_ref().and_then(|one| one.state()).and_then(|s| s.name());
            Ok(match name {
                Some(InstanceStateName::Stopped) => Look::Done(()),
                Some(InstanceStateName::Terminated | InstanceStateName::ShuttingDown) => {
                    Look::Never(
                        Error::new(format!("the instance {id} was terminated instead of stopped"))
                            .hint("set shutdown_behavior = \"stop\""),
                    )
                }
                other => Look::NotYet(other.map_or("unknown", |name| name.as_str()).to_owned()),
            })
        };
        until(&ctx.ui, &format!("the instance {id} to stop"), pace, look).await
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
        if ami.skip_create_ami {
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
