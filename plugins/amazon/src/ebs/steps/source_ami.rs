//! The AMI to start from.

use aws_sdk_ec2::types::{DeviceType, Image, VirtualizationType};
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};

use super::{State, fast_launch};
use crate::ebs::options::given;
use crate::ebs::tags::BuildInfo;

/// Finds the AMI to start from.
pub(super) struct FindSourceAmi;

#[async_trait]
impl Step<State> for FindSourceAmi {
    fn name(&self) -> &'static str {
        "find source AMI"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let instance = &state.settings.raw.instance;
        let filter = instance.source_ami_filter.clone().unwrap_or_default();
        let image = filter.find(&state.ec2, given(&instance.source_ami)).await?;
        let id = image.image_id().unwrap_or_default();
        ctx.ui.say(format!("Found Image ID: {id}"));
        check(state, &image, id)?;
        fast_launch::check(state, image.platform(), id)?;
        state.info = BuildInfo::new(&state.region, &image);
        state.data = state.info.generated();
        try_tags(ctx, state)?;
        state.source = Some(image);
        Ok(())
    }
}

fn check(state: &State, image: &Image, id: &str) -> Result<()> {
    if image.root_device_type() != Some(&DeviceType::Ebs) {
        let kind = image.root_device_type().map_or("unknown", DeviceType::as_str);
        return Err(Error::new(format!(
            "the source AMI {id} has a root device of the type {kind}; this builder needs ebs"
        )));
    }
    let ami = &state.settings.raw.ami;
    if ami.ena_support == Some(true) || ami.sriov_support {
        let chosen = given(&ami.ami_virtualization_type);
        let own = image.virtualization_type().map(VirtualizationType::as_str);
        if let Some(kind) = chosen.or(own).filter(|&kind| kind != "hvm") {
            return Err(Error::new(format!(
                "enhanced networking needs the virtualization hvm; that of {id} is {kind}"
            ))
            .hint("remove ena_support and sriov_support, or start from another AMI"));
        }
    }
    Ok(())
}

/// Renders all tags and descriptions, so that errors in them are reported before anything is created.
fn try_tags(ctx: &RunContext, state: &State) -> Result<()> {
    for (option, tags) in state.settings.raw.all_tags() {
        state.info.tags(ctx, option, tags)?;
    }
    for volume in state.settings.volumes().unwrap_or_default() {
        state.info.tags(ctx, "tags", &volume.tags)?;
        state.info.tags(ctx, "snapshot_tags", &volume.snapshot_tags)?;
        if let Some(text) = given(&volume.snapshot_description) {
            state.info.render(ctx, "snapshot_description", text)?;
        }
    }
    if let Some(text) = given(&state.settings.raw.ami.ami_description) {
        state.info.render(ctx, "ami_description", text)?;
    }
    Ok(())
}
