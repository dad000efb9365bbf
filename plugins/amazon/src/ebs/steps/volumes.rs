//! The volumes of `amazon-ebsvolume`.

use ingot_sdk::{Result, RunContext, Step, async_trait};

use super::State;
use super::snapshot::{lacks, volumes};
use crate::ebs::options::{EbsVolume, given};
use crate::ebs::tags::report;
use crate::failure::During;

/// Gives the volumes their own tags instead of those of the build's.
pub(super) struct TagVolumes;

#[async_trait]
impl Step<State> for TagVolumes {
    fn name(&self) -> &'static str {
        "tag volumes"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let Some(wanted) = state.settings.volumes() else { return Ok(()) };
        let found = volumes(state)?;
        let due = wanted.iter().filter(|volume| volume.device.is_volume());
        let mut names = due.filter_map(|volume| given(&volume.device.device_name));
        if let Some(name) = names.find(|name| !found.contains_key(*name)) {
            // Now, rather than once all provisioners have run.
            return Err(lacks(name));
        }
        let id_of = |volume: &EbsVolume| found.get(given(&volume.device.device_name)?).cloned();
        let ids: Vec<String> = wanted.iter().filter_map(id_of).collect();
        let run =
            state.info.tags(ctx, "run_volume_tags", &state.settings.raw.tags.run_volume_tags)?;
        if !run.is_empty() && !ids.is_empty() {
            ctx.ui.say(format!("Deleting 'run_volume_tags' on EBS Volumes: {}", ids.join(", ")));
            let request = state.ec2.delete_tags().set_resources(Some(ids));
            request.set_tags(Some(run)).send().await.during("removing tags of the volumes")?;
        }
        ctx.ui.say("Tagging EBS volumes...");
        for volume in wanted {
            let tags = state.info.tags(ctx, "tags", &volume.tags)?;
            let Some(id) = id_of(volume).filter(|_| !tags.is_empty()) else { continue };
            report(ctx, &tags);
            ctx.ui.message(format!("Applying tags to EBS Volume: {id}"));
            let request = state.ec2.create_tags().resources(id).set_tags(Some(tags));
            request.send().await.during("tagging a volume")?;
        }
        Ok(())
    }
}

/// Makes the volumes the user's: up to here they go with a build that fails.
pub(super) struct KeepVolumes;

#[async_trait]
impl Step<State> for KeepVolumes {
    fn name(&self) -> &'static str {
        "keep volumes"
    }

    async fn run(&self, _: &RunContext, state: &mut State) -> Result<()> {
        if state.settings.volumes().is_none() {
            return Ok(());
        }
        let found = volumes(state)?;
        let devices = state.settings.staying_devices();
        let ids = devices.iter().map(|name| found.get(name).cloned().ok_or_else(|| lacks(name)));
        let ids = ids.collect::<Result<Vec<String>>>()?;
        state.mark.kept = devices;
        state.amend_launch();
        let all = std::mem::take(&mut state.volumes);
        let (kept, rest) = all.into_iter().partition(|(id, _)| ids.contains(id));
        state.volumes = rest;
        let kept: Vec<_> = kept;
        kept.into_iter().for_each(|(_, entry)| entry.done());
        state.created_volumes = ids;
        Ok(())
    }
}
