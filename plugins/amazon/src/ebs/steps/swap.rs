//! Exchanging the instance's root device, so that an AMI of the instance has the other one.

use aws_sdk_ec2::types::{
    EbsInstanceBlockDeviceSpecification, InstanceBlockDeviceMappingSpecification,
    VolumeAttachmentState, VolumeState,
};
use ingot_sdk::{Error, JournalEntry, Result, RunContext, Step, async_trait};

use super::snapshot::volumes;
use super::{State, once};
use crate::access::Ec2;
use crate::ebs::choices::Product;
use crate::ebs::creation::create;
use crate::ebs::options::given;
use crate::ebs::resources::VOLUME;
use crate::ebs::wait::{WaitStatus, until};
use crate::ebs::wait_times;
use crate::failure::{During, Failure};

/// Detaches the root device and what is left out of the AMI, and attaches the new root device.
pub(super) struct SwapVolumes;

#[async_trait]
impl Step<State> for SwapVolumes {
    fn name(&self) -> &'static str {
        "swap volumes"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let Product::Surrogate(own) = &state.settings.product else { return Ok(()) };
        let root = own.ami_root_device.clone();
        let source = given(&root.source_device_name).unwrap_or_default().to_owned();
        let target = given(&root.device_name).unwrap_or_default().to_owned();
        let found = volumes(state)?;
        let new = found.get(&source).cloned().ok_or_else(|| {
            Error::new(format!("the instance has no volume {source} for the root device"))
        })?;
        let old_root = state.instance()?.root_device_name().unwrap_or_default().to_owned();
        let launch = &state.settings.raw.instance.launch_block_device_mappings;
        let omitted = |name: &str| {
            let mut named = launch.iter().filter(|one| given(&one.device_name) == Some(name));
            named.any(|one| one.omit_from_artifact)
        };
        let goes = |name: &str| {
            omitted(name) || [&source, &target, &old_root].into_iter().any(|one| one == name)
        };
        let detached: Vec<(String, String)> =
            found.into_iter().filter(|(name, _)| goes(name)).collect();
        let deleted = |name: &str| {
            let devices = state.instance().map(|one| one.block_device_mappings());
            let mut devices = devices.unwrap_or_default().iter();
            let device = devices.find(|device| device.device_name() == Some(name));
            device.and_then(|device| device.ebs()?.delete_on_termination())
        };
        let goes_along = deleted(&source);
        // A detached volume is not deleted with the instance any more. Nor is the new root, until
        // that is set again at the end.
        let with_instance: Vec<String> = detached
            .iter()
            .filter(|(name, _)| deleted(name) == Some(true))
            .map(|(_, volume)| volume.clone())
            .collect();
        for volume in with_instance {
            let entry = JournalEntry::open(&ctx.journal, &state.resource(VOLUME, &volume))?;
            state.volumes.push((volume, entry));
        }
        if goes_along != Some(true) {
            // It is the user's under its new name, too.
            state.mark.kept.insert(target.clone());
            state.amend_launch();
        }
        let polling = wait_times::quick(state.access.polling(), wait_times::MACHINE);
        for (name, volume) in &detached {
            ctx.ui.say(format!("Detaching EBS Device Name: {name}, Volume ID: {volume}"));
            let request = once(&state.ec2).detach_volume().volume_id(volume).device(name);
            let request = request.instance_id(state.instance_id()?);
            let attempt = || async {
                let call = request.clone().send().await;
                call.during(format!("detaching the volume {volume}")).map(drop)
            };
            let find = || async { Ok((!is_attached(&state.ec2, volume).await?).then_some(())) };
            create(&state.patience(ctx), attempt, find, |_| false).await?;
            let look = || async {
                let response = state.ec2.describe_volumes().volume_ids(volume).send().await;
                let response = response.during("describing a volume")?;
                let found = response.volumes().first().and_then(|volume| volume.state());
                Ok(match found {
                    Some(VolumeState::Available) => WaitStatus::Ready(()),
                    other => {
                        WaitStatus::Pending(other.map_or("unknown", |s| s.as_str()).to_owned())
                    }
                })
            };
            until(&ctx.ui, &format!("the volume {volume} to be detached"), polling, look).await?;
        }
        ctx.ui.say(format!("Attaching Root EBS Device Name {target}, Volume ID: {new}"));
        let instance = state.instance_id()?.to_owned();
        let request = once(&state.ec2).attach_volume().instance_id(&instance).volume_id(&new);
        let request = request.device(&target);
        let attempt = || async {
            let call = request.clone().send().await;
            call.during(format!("attaching the volume {new}")).map(drop)
        };
        let find = || async { Ok(is_attached(&state.ec2, &new).await?.then_some(())) };
        create(&state.patience(ctx), attempt, find, |_| false).await?;
        let look = || async {
            let response = state.ec2.describe_volumes().volume_ids(&new).send().await;
            let response = response.during("describing a volume")?;
            let attachment = response.volumes().first().and_then(|one| one.attachments().first());
            Ok(match attachment.and_then(|attachment| attachment.state()) {
                Some(VolumeAttachmentState::Attached) => WaitStatus::Ready(()),
                other => WaitStatus::Pending(other.map_or("unknown", |s| s.as_str()).to_owned()),
            })
        };
        until(&ctx.ui, &format!("the volume {new} to be attached"), polling, look).await?;
        // An attached volume is not deleted with its instance unless that is set again.
        let ebs =
            EbsInstanceBlockDeviceSpecification::builder().set_delete_on_termination(goes_along);
        let device = InstanceBlockDeviceMappingSpecification::builder()
            .device_name(&target)
            .ebs(ebs.build())
            .build();
        let request = state.ec2.modify_instance_attribute().instance_id(&instance);
        let call = request.block_device_mappings(device).send().await;
        call.during("setting delete_on_termination of the root device")?;
        Ok(())
    }
}

/// Whether a volume is attached, or about to be. After a call to attach or detach it whose answer was
/// lost this tells whether that took effect.
async fn is_attached(ec2: &Ec2, volume: &str) -> Result<bool, Failure> {
    let response = ec2.describe_volumes().volume_ids(volume).send().await;
    let response = response.during("describing a volume")?;
    let attachment = response.volumes().first().and_then(|one| one.attachments().first());
    Ok(matches!(
        attachment.and_then(|attachment| attachment.state()),
        Some(VolumeAttachmentState::Attached | VolumeAttachmentState::Attaching)
    ))
}
