//! The tags of the AMI and its snapshots.

use aws_sdk_ec2::types::Tag;
use ingot_sdk::{Result, RunContext, Step, async_trait};

use super::State;
use crate::access::Ec2;
use crate::ebs::creation::{Patience, create};
use crate::ebs::tags::report;
use crate::failure::{During, Failure, Kind};

/// Tags all AMIs and snapshots.
pub struct TagImages;

#[async_trait]
impl Step<State> for TagImages {
    fn name(&self) -> &'static str {
        "tag AMI"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if state.settings.raw.ami.skip_create_ami {
            ctx.ui.say("Skipping AMI create tags...");
            return Ok(());
        }
        let raw = &state.settings.raw.tags;
        if raw.tags.is_empty() && raw.snapshot_tags.is_empty() {
            return Ok(());
        }
        let tags = state.info.tags(ctx, "tags", &raw.tags)?;
        let snapshot_tags = state.info.tags(ctx, "snapshot_tags", &raw.snapshot_tags)?;
        for (region, image) in &state.images {
            let ec2 = state.access.client(region);
            ctx.ui.say(format!("Adding tags to AMI ({})...", image.id));
            for snapshot in &image.snapshots {
                ctx.ui.say(format!("Tagging snapshot: {snapshot}"));
            }
            ctx.ui.say("Creating AMI tags");
            report(ctx, &tags);
            let mut all = vec![image.id.clone()];
            all.extend(image.snapshots.iter().cloned());
            let patience = state.patience(ctx);
            add(&patience, &ec2, all, &tags).await?;
            ctx.ui.say("Creating snapshot tags");
            report(ctx, &snapshot_tags);
            add(&patience, &ec2, image.snapshots.clone(), &snapshot_tags).await?;
        }
        Ok(())
    }
}

async fn add(
    patience: &Patience,
    ec2: &Ec2,
    resources: Vec<String>,
    tags: &[Tag],
) -> Result<(), Failure> {
    if tags.is_empty() || resources.is_empty() {
        return Ok(());
    }
    let request = ec2.create_tags().set_resources(Some(resources)).set_tags(Some(tags.to_vec()));
    let tag = || async {
        request.clone().send().await.during("tagging the AMI and its snapshots").map(drop)
    };
    // What was just made is not seen by all of AWS at once.
    create(patience, tag, || async { Ok(None) }, |failure| failure.kind == Kind::NotFound).await
}
