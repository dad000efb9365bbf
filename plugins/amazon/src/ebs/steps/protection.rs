//! When the AMI is deprecated, and whether it can be deregistered.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};

use super::State;
use crate::ebs::options::given;
use crate::failure::During;

/// Sets when all AMIs are deprecated.
pub(super) struct Deprecate;

#[async_trait]
impl Step<State> for Deprecate {
    fn name(&self) -> &'static str {
        "enable AMI deprecation"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let ami = &state.settings.raw.ami;
        let Some(at) = given(&ami.deprecate_at).filter(|_| !ami.skip_create_ami) else {
            ctx.ui.say("Skipping Enable AMI deprecation...");
            return Ok(());
        };
        let time = DateTime::from_str(at, Format::DateTimeWithOffset)
            .map_err(|error| Error::new(format!("deprecate_at: {at:?} is not a time: {error}")))?;
        for (region, image) in &state.images {
            let id = &image.id;
            ctx.ui.say(format!("Enabling deprecation on AMI ({id}) in region {region:?} ..."));
            let request = state.access.client(region).enable_image_deprecation();
            let call = request.image_id(id).deprecate_at(time).send().await;
            call.during(format!("setting when the AMI {id} is deprecated"))?;
        }
        Ok(())
    }
}

/// Protects all AMIs from being deregistered.
pub(super) struct Protect;

#[async_trait]
impl Step<State> for Protect {
    fn name(&self) -> &'static str {
        "enable AMI deregistration protection"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let ami = &state.settings.raw.ami;
        let protection = ami.deregistration_protection.clone().unwrap_or_default();
        if !protection.enabled {
            ctx.ui.say("Skipping Enable AMI deregistration protection...");
            return Ok(());
        }
        if ami.skip_create_ami {
            ctx.ui.say("skip_create_ami was set. Skipping AMI deregistration protection...");
            return Ok(());
        }
        for (region, image) in &state.images {
            let id = &image.id;
            let request = state.access.client(region).enable_image_deregistration_protection();
            let request = request.image_id(id).with_cooldown(protection.with_cooldown);
            request.send().await.during(format!("protecting the AMI {id}"))?;
        }
        Ok(())
    }
}
