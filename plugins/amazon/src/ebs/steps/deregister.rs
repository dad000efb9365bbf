//! Making room for an AMI of the same name.

use ingot_sdk::{Result, RunContext, Step, async_trait};

use super::State;
use super::prevalidate::images_called;
use crate::ebs::removal::{remove_snapshot, snapshots_of};
use crate::failure::During;

/// Deregisters the account's AMIs of the same name, in all regions of the build.
pub(super) struct Deregister;

#[async_trait]
impl Step<State> for Deregister {
    fn name(&self) -> &'static str {
        "deregister AMI"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let ami = &state.settings.raw.ami;
        if ami.skip_create_ami {
            // There is nothing to make room for.
            return Ok(());
        }
        let own = state.settings.own_snapshots();
        for region in state.settings.regions(&state.region) {
            let ec2 = state.access.client(&region);
            let images = images_called(&ec2, &ami.ami_name).await;
            for image in &images.during(format!("in {region}"))? {
                let Some(id) = image.image_id() else { continue };
                let call = ec2.deregister_image().image_id(id).send().await;
                call.during(format!("deregistering the AMI {id}"))?;
                ctx.ui.say(format!("Deregistered AMI {}, id: {id}", ami.ami_name));
                if !ami.force_delete_snapshot {
                    continue;
                }
                // Those that the template names are needed again.
                for snapshot in snapshots_of(image).iter().filter(|one| !own.contains(*one)) {
                    remove_snapshot(&ec2, snapshot).await?;
                    ctx.ui.say(format!("Deleted snapshot: {snapshot}"));
                }
            }
        }
        Ok(())
    }
}
