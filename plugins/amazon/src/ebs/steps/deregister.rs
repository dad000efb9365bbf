//! Making room for an AMI of the same name.

use ingot_sdk::{Result, RunContext, Step, async_trait};

use super::State;
use crate::ebs::removal::{remove_snapshot, snapshots_of};
use crate::failure::During;
use crate::filter::filter;

/// Deregisters the account's AMIs of the same name, in all regions of the build.
pub struct Deregister;

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
        let mut regions = ami.ami_regions.clone();
        regions.retain(|region| *region != state.region);
        regions.push(state.region.clone());
        regions.dedup();
        for region in regions {
            let ec2 = state.access.client(&region);
            let quoted = format!("\"{}\"", ami.ami_name);
            let request = ec2.describe_images().owners("self").filters(filter("name", &quoted));
            let answer = request.send().await.during(format!("listing the AMIs in {region}"))?;
            for image in answer.images() {
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
