//! The tags of the AMI and its snapshots.

use aws_sdk_ec2::types::Tag;
use ingot_sdk::{Result, RunContext, Step, async_trait};

use super::State;
use crate::access::Ec2;
use crate::ebs::creation::{Patience, create};
use crate::ebs::tags::report;
use crate::failure::{During, Failure, Kind};

/// Tags all AMIs and snapshots.
pub(super) struct TagImages;

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
        let wanted = AmiTags::new(ctx, state)?;
        if wanted.image.is_empty() && wanted.snapshots.is_empty() {
            return Ok(());
        }
        for (region, image) in &state.images {
            let ec2 = state.access.client(region);
            ctx.ui.say(format!("Adding tags to AMI ({})...", image.id));
            for snapshot in &image.snapshots {
                ctx.ui.say(format!("Tagging snapshot: {snapshot}"));
            }
            ctx.ui.say("Creating AMI tags");
            report(ctx, &wanted.image);
            let own =
                state.info.tags(ctx, "snapshot_tags", &state.settings.raw.tags.snapshot_tags)?;
            ctx.ui.say("Creating snapshot tags");
            report(ctx, &own);
            // A copy has them from the call that made it, and so have its snapshots.
            let copied = *region != state.region || state.settings.is_intermediary();
            if copied && has_all(&image.tags, &wanted.image) && !wanted.image.is_empty() {
                continue;
            }
            let patience = state.patience(ctx);
            add(&patience, &ec2, vec![image.id.clone()], &wanted.image).await?;
            add(&patience, &ec2, image.snapshots.clone(), &wanted.snapshots).await?;
        }
        Ok(())
    }
}

/// The tags that the template wants an AMI to have.
pub(super) struct AmiTags {
    /// Those of the AMI.
    pub image: Vec<Tag>,
    /// Those of its snapshots: the AMI's and their own, which win.
    pub snapshots: Vec<Tag>,
}

impl AmiTags {
    /// Renders them.
    ///
    /// # Errors
    /// A template in them fails.
    pub(super) fn new(ctx: &RunContext, state: &State) -> Result<AmiTags> {
        let raw = &state.settings.raw.tags;
        let image = state.info.tags(ctx, "tags", &raw.tags)?;
        let own = state.info.tags(ctx, "snapshot_tags", &raw.snapshot_tags)?;
        Ok(AmiTags { snapshots: merged(image.clone(), own), image })
    }
}

/// Tags of both, each key once, as EC2 wants it; where both have a key, the `winning` ones.
pub(super) fn merged(tags: Vec<Tag>, winning: Vec<Tag>) -> Vec<Tag> {
    let mut all = tags;
    all.retain(|tag| !winning.iter().any(|other| other.key() == tag.key()));
    all.extend(winning);
    all
}

/// Whether all `wanted` tags are among `message`.
fn has_all(message: &[Tag], wanted: &[Tag]) -> bool {
    wanted.iter().all(|tag| message.contains(tag))
}

/// Tags what was just made.
///
/// # Errors
/// The last failure.
pub(crate) async fn add(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ebs::tags::tag;

    #[test]
    fn each_key_is_given_once() {
        let all = merged(vec![tag("a", "1"), tag("b", "1")], vec![tag("b", "2"), tag("c", "2")]);
        assert_eq!(all, [tag("a", "1"), tag("b", "2"), tag("c", "2")]);
    }

    #[test]
    fn what_a_copy_has_is_not_given_again() {
        let message = [tag("aws:x", "y"), tag("a", "1"), tag("b", "2")];
        assert!(has_all(&message, &[tag("b", "2"), tag("a", "1")]));
        assert!(!has_all(&message, &[tag("b", "3")]));
    }
}
