//! Copies of the AMI: to other regions, and encrypted.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{ResourceType, TagSpecification};
use futures_util::future::join_all;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Error, Result, RunContext, Step, Ui, async_trait};

use super::create_image::{available, created, find_one, nameless, remove_or_keep};
use super::image_tags::{AmiTags, merged};
use super::{CreatedImage, ImageCreation, State, once};
use crate::access::Access;
use crate::ebs::creation::{Creation, create};
use crate::ebs::removal::{ImageMark, look_for};
use crate::ebs::resources::{IMAGE, image_resource};
use crate::ebs::tags::specification;
use crate::failure::During;

/// Copies the AMI to all its regions at once.
pub(super) struct CopyImage;

#[async_trait]
impl Step<State> for CopyImage {
    fn name(&self) -> &'static str {
        "copy AMI"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if state.settings.raw.ami.skip_create_ami {
            ctx.ui.say("Skipping AMI region copy...");
            return Ok(());
        }
        let regions = state.settings.copies(&state.region);
        let Some(source) = state.first.clone().filter(|_| !regions.is_empty()) else {
            return Ok(());
        };
        ctx.ui.say(format!("Copying/Encrypting AMI ({}) to other regions...", source.id));
        let first = state.created_images.len();
        for region in &regions {
            ctx.ui.message(format!("Copying to: {region}"));
            let creation = begin(ctx, state, &source, region)?;
            state.created_images.push(creation);
        }
        ctx.ui.message("Waiting for all copies to complete...");
        let copies = state.created_images.iter_mut().skip(first);
        let done = join_all(copies.map(|copy| finish(&ctx.ui, &state.access, copy))).await;
        let mut problems = Vec::new();
        for (region, copied) in regions.into_iter().zip(done) {
            match copied {
                Ok(image) => drop(state.images.insert(region, image)),
                Err(error) => problems.push(error.context(format_args!("copying to {region}"))),
            }
        }
        Error::all(problems)
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, outcome: Outcome) {
        if outcome == Outcome::Failed {
            // The first image goes with the step that made it.
            let all = std::mem::take(&mut state.created_images).into_iter();
            let (first, copies) = all.partition(|image| image.first);
            state.created_images = first;
            remove_or_keep(ctx, state, copies, outcome).await;
        }
    }

    async fn leave(&self, ctx: &RunContext, state: &mut State) {
        super::resume::keep_only_instance(self, ctx, state).await;
    }
}

/// Starts copying to one region.
fn begin(
    ctx: &RunContext,
    state: &State,
    source: &CreatedImage,
    region: &str,
) -> Result<ImageCreation> {
    let ami = &state.settings.raw.ami;
    let ec2 = state.access.client(region);
    // In the call, so that there is never a copy without them, whatever becomes of the build. Copies
    // have the run's tags where the first AMI has them: one that is registered has none.
    let mut tags = AmiTags::new(ctx, state)?;
    if !ami.skip_ami_run_tags && !state.settings.product.is_registered() {
        tags.image = merged(state.run_tags(ctx)?, tags.image);
    }
    let specifications = [
        specification(ResourceType::Image, tags.image),
        specification(ResourceType::Snapshot, tags.snapshots),
    ];
    let specifications: Vec<TagSpecification> = specifications.into_iter().flatten().collect();
    let request = once(&ec2)
        .copy_image()
        .client_token(uuid::Uuid::new_v4().to_string())
        .source_region(&state.region)
        .source_image_id(&source.id)
        .name(&ami.ami_name)
        .set_encrypted(ami.encrypt_boot)
        .set_kms_key_id(state.settings.kms_key(region, &state.region).map(str::to_owned))
        .set_tag_specifications(Some(specifications).filter(|all| !all.is_empty()))
        .set_snapshot_copy_completion_duration_minutes(ami.snapshot_copy_duration_minutes);
    let mark = ImageMark {
        name: ami.ami_name.clone(),
        source: source.id.clone(),
        not_before: source.date.clone(),
        kept: state.settings.own_snapshots(),
    };
    let (sought, cancel) = (mark.clone(), state.patience(ctx));
    let call = async move {
        let attempt = || async {
            let response = request.clone().send().await.during("copying the AMI")?;
            response.image_id.ok_or_else(nameless)
        };
        create(&cancel, attempt, || look_for(|| find_one(&ec2, &sought)), |_| false).await
    };
    let place = state.place.in_region(region);
    let resource = image_resource(place.resource(IMAGE, &mark.name), &mark);
    let call = Creation::begin(ctx, &resource, call)?;
    Ok(ImageCreation { region: region.to_owned(), mark, resource, first: false, kept: true, call })
}

/// Waits for one copy.
async fn finish(ui: &Ui, access: &Access, copy: &mut ImageCreation) -> Result<CreatedImage> {
    let id = copy.call.created().await?;
    copy.known(&id, &BTreeSet::new());
    let ec2 = access.client(&copy.region);
    let image = available(ui, access, &ec2, &id).await?;
    let created = created(id, &image);
    copy.known(&created.id, &created.snapshots.iter().cloned().collect());
    Ok(created)
}
