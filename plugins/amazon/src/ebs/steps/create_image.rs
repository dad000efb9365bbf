//! The AMI.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{Image, ImageState, ResourceType};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Error, Result, RunContext, Step, Ui, async_trait};

use super::{CreatedImage, ImageCreation, State, once};
use crate::access::{Access, Ec2};
use crate::ebs::choices::Product;
use crate::ebs::creation::{Creation, create};
use crate::ebs::devices;
use crate::ebs::removal::{
    ImageMark, Snapshots, find_images, look_for, remove_image, snapshots_of,
};
use crate::ebs::resources::{IMAGE, INTERMEDIARY, image_resource, known_image};
use crate::ebs::tags::specification;
use crate::ebs::wait::{WaitStatus, until};
use crate::ebs::wait_times;
use crate::failure::{During, Failure, Kind, Subject};

/// Makes the AMI, or the one that is only there to be copied.
pub(super) struct CreateImage;

#[async_trait]
impl Step<State> for CreateImage {
    fn name(&self) -> &'static str {
        "create AMI"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let ami = &state.settings.raw.ami;
        if ami.skip_create_ami {
            ctx.ui.say("Skipping AMI creation...");
            return Ok(());
        }
        let name = image_name(ctx, state);
        let instance = state.instance_id()?.to_owned();
        ctx.ui.say(format!("Creating AMI {name} from instance {instance}"));
        let mut tags = Vec::new();
        if ami.skip_ami_run_tags {
            ctx.ui.say("Skipping attaching run tags to AMI...");
        } else {
            ctx.ui.say("Attaching run tags to AMI...");
            let run = state.run_tags(ctx)?;
            let kinds = [ResourceType::Image, ResourceType::Snapshot];
            tags.extend(kinds.into_iter().filter_map(|kind| specification(kind, run.clone())));
        }
        let mappings = match &state.settings.product {
            Product::Surrogate(own) => devices::surrogate_mappings(
                &ami.ami_block_device_mappings,
                &state.settings.raw.instance.launch_block_device_mappings,
                &own.ami_root_device,
                &BTreeMap::new(),
            ),
            Product::Image | Product::Volumes(_) => {
                devices::mappings(&ami.ami_block_device_mappings, false)
            }
        };
        state.states.make_room(ctx, &state.access, &state.ec2).await?;
        let request = once(&state.ec2)
            .create_image()
            .instance_id(&instance)
            .name(&name)
            .set_block_device_mappings(Some(mappings).filter(|mappings| !mappings.is_empty()))
            .set_tag_specifications(Some(tags).filter(|tags| !tags.is_empty()));
        let kept = state.settings.own_snapshots();
        let mark = ImageMark { name, source: instance, not_before: launched_at(state), kept };
        let (ec2, sought, cancel) = (state.ec2.clone(), mark.clone(), state.patience(ctx));
        let call = async move {
            let attempt = || async {
                let response = request.clone().send().await.during("creating the AMI")?;
                response.image_id.ok_or_else(nameless)
            };
            create(&cancel, attempt, || look_for(|| find_one(&ec2, &sought)), settling).await
        };
        make(ctx, state, mark, call).await
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, outcome: Outcome) {
        state.first = None;
        let own = std::mem::take(&mut state.created_images);
        remove_or_keep(ctx, state, own, outcome).await;
    }

    async fn leave(&self, ctx: &RunContext, state: &mut State) {
        super::resume::keep_only_instance(self, ctx, state).await;
    }
}

/// The name of the AMI that is made first.
pub(super) fn image_name(ctx: &RunContext, state: &State) -> String {
    match state.settings.is_intermediary() {
        // So that it can be found without a journal.
        true => intermediary_name(&ctx.prepare.run_uuid),
        false => state.settings.raw.ami.ami_name.clone(),
    }
}

/// Makes the first AMI by `call` and waits until it can be used.
pub(super) async fn make(
    ctx: &RunContext,
    state: &mut State,
    mark: ImageMark,
    call: impl Future<Output = Result<String, Failure>> + Send + 'static,
) -> Result<()> {
    let resource = image_resource(state.resource(IMAGE, &mark.name), &mark);
    let call = Creation::begin(ctx, &resource, call)?;
    let region = state.region.clone();
    let kept = !state.settings.is_intermediary();
    let image = ImageCreation { region, mark, resource, first: true, kept, call };
    state.created_images.push(image);
    let Some(creation) = state.created_images.last_mut() else { return Ok(()) };
    let id = creation.call.created().await.map_err(|failure| {
        let disks = &state.settings.raw.ami.ami_block_device_mappings;
        match devices::refused(&failure, "ami_block_device_mappings", disks) {
            Some(hint) => Error::from(failure).hint(hint),
            None => failure.into(),
        }
    })?;
    creation.known(&id, &BTreeSet::new());
    ctx.ui.say(format!("AMI: {id}"));
    ctx.ui.say("Waiting for AMI to become ready...");
    let image = available(&ctx.ui, &state.access, &state.ec2, &id).await?;
    let created = created(id, &image);
    creation.known(&created.id, &created.snapshots.iter().cloned().collect());
    if kept {
        state.images.insert(state.region.clone(), created.clone());
    }
    state.first = Some(created);
    Ok(())
}

/// What is to be known of an AMI that is ready.
pub(crate) fn created(id: String, image: &Image) -> CreatedImage {
    let date = image.creation_date().unwrap_or_default().to_owned();
    CreatedImage { id, snapshots: snapshots_of(image), tags: image.tags().to_vec(), date }
}

/// AWS's clock when the instance was launched, as AMIs tell theirs.
pub(super) fn launched_at(state: &State) -> String {
    let launched = state.instance.as_ref().and_then(|instance| instance.launch_time());
    launched
        .and_then(|time| time.fmt(aws_smithy_types::date_time::Format::DateTime).ok())
        .unwrap_or_default()
}

/// The failure of a call whose answer lacks the AMI's id.
pub(crate) fn nameless() -> Failure {
    Failure::new(Kind::Broken, "AWS did not return the AMI's id")
}

/// The AMI that a call whose answer was lost has made.
pub(crate) async fn find_one(ec2: &Ec2, mark: &ImageMark) -> Result<Option<String>, Failure> {
    Ok(find_images(ec2, mark).await?.into_iter().next())
}

/// What passes: the instance takes a moment to be seen as stopped, and EC2 to take another snapshot.
pub(super) fn settling(failure: &Failure) -> bool {
    failure.is_about(Subject::InstanceState)
        || failure.is("IncorrectInstanceState")
        // Another AMI of the same volumes was made just before.
        || failure.is("SnapshotCreationPerVolumeRateExceeded")
        || failure.is("ConcurrentSnapshotLimitExceeded")
}

/// Waits until an AMI can be used, and tells all about it.
pub(crate) async fn available(ui: &Ui, access: &Access, ec2: &Ec2, id: &str) -> Result<Image> {
    let polling = wait_times::slow(access.polling(), wait_times::IMAGE);
    until(ui, &format!("the AMI {id}"), polling, || image_status(ec2, id)).await
}

/// How far an AMI is: all about it once it can be used.
pub(super) async fn image_status(ec2: &Ec2, id: &str) -> Result<WaitStatus<Image>, Failure> {
    let response = ec2.describe_images().image_ids(id).send().await;
    let image = match response.during("describing the AMI") {
        Ok(response) => response.images.unwrap_or_default().into_iter().next(),
        Err(failure) if failure.kind == Kind::NotFound => None,
        Err(failure) => return Err(failure),
    };
    let Some(image) = image else { return Ok(WaitStatus::Pending("not seen yet".to_owned())) };
    Ok(match image.state() {
        Some(ImageState::Available) => WaitStatus::Ready(image),
        Some(ImageState::Pending | ImageState::Transient) | None => {
            WaitStatus::Pending("pending".to_owned())
        }
        Some(other) => {
            let reason = image.state_reason().and_then(|reason| reason.message());
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            WaitStatus::Failed(Error::new(format!("the AMI {id} is {}{reason}", other.as_str())))
        }
    })
}

/// At the end of a build: what it made is the user's, unless it failed.
pub(super) async fn remove_or_keep(
    ctx: &RunContext,
    state: &mut State,
    created: Vec<ImageCreation>,
    outcome: Outcome,
) {
    for mut image in created.into_iter().rev() {
        if outcome == Outcome::Succeeded && image.kept {
            image.call.done();
            continue;
        }
        if image.call.is_taken() {
            image.call.done();
            continue;
        }
        ctx.ui.say(match outcome {
            Outcome::Succeeded => {
                "Deregistering the AMI and deleting unencrypted temporary AMIs and snapshots"
            }
            Outcome::Failed => {
                "Deregistering the AMI and deleting associated snapshots because of cancellation, \
                 or error..."
            }
        });
        let known = image.call.settle().await;
        let ec2 = state.access.client(&image.region);
        match remove(&ec2, &image, known).await {
            Ok(()) => {
                // A first image that is not kept was never among them.
                if image.kept {
                    state.images.remove(&image.region);
                }
                image.call.done();
            }
            Err(failure) => {
                super::left_behind(ctx, &format!("the AMI {}", image.mark.name), failure);
            }
        }
    }
}

pub(super) async fn remove(
    ec2: &Ec2,
    image: &ImageCreation,
    known: Option<String>,
) -> Result<(), Failure> {
    let ids = match known {
        Some(id) => vec![id],
        // What is found by the name is somebody else's.
        None if image.call.is_taken() => Vec::new(),
        None => {
            let find = || async {
                let found = find_images(ec2, &image.mark).await?;
                Ok(Some(found).filter(|found| !found.is_empty()))
            };
            look_for(find).await?.unwrap_or_default()
        }
    };
    for id in ids {
        let about = |snapshots: &BTreeSet<String>| image.known(&id, snapshots);
        let which = Snapshots { kept: image.mark.kept.clone(), ..Snapshots::default() };
        remove_image(ec2, &id, which, about).await?;
    }
    Ok(())
}

impl ImageCreation {
    /// Writes down what is known by now.
    pub(super) fn known(&self, id: &str, snapshots: &BTreeSet<String>) {
        self.call.amend(&known_image(&self.resource, id, snapshots));
    }
}

/// The name of an AMI that is only there to be copied; of use for one build of the run `run`.
fn intermediary_name(run: &str) -> String {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("{INTERMEDIARY}{run}-{}", &unique[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again() {
        for code in [
            "IncorrectInstanceState",
            "SnapshotCreationPerVolumeRateExceeded",
            "ConcurrentSnapshotLimitExceeded",
        ] {
            assert!(settling(&Failure::from_code(code, "")), "{code}");
        }
        let stopping = "Instance is not in state 'running' or 'stopped'";
        assert!(settling(&Failure::from_code("InvalidParameterValue", stopping)));
        assert!(!settling(&Failure::from_code("InvalidParameterValue", "the name is too long")));
    }
}
