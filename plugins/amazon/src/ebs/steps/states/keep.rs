//! Keeping a state of the instance, and going on with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::{Image, Instance, ResourceType, Tag};
use ingot_communicator::Target;
use ingot_sdk::{Error, GeneratedData, Result, RunContext, Snapshots, StateKey, async_trait};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::find::differs;
use super::image::{SOURCE_TAG, StateImage};
use super::line::Line;
use super::login::login_tags;
use crate::access::{Access, Ec2};
use crate::ebs::creation::{Creation, Patience, create};
use crate::ebs::region_access::RegionAccess;
use crate::ebs::removal::{ImageMark, look_for, snapshots_created_for, snapshots_of};
use crate::ebs::resources::{IMAGE, image_resource};
use crate::ebs::settings::Settings;
use crate::ebs::state_images::{STATE_TAG, find_states};
use crate::ebs::steps::address::host;
use crate::ebs::steps::create_image::{
    available, find_one, image_status, launched_at, nameless, settling,
};
use crate::ebs::steps::instance::running;
use crate::ebs::steps::{ImageCreation, State, once, power};
use crate::ebs::tags::{specification, tag};
use crate::ebs::wait::{WaitStatus, until};
use crate::ebs::wait_times;
use crate::failure::{During as _, Kind};

/// How long EC2 may take to begin with the snapshots of an AMI.
const SNAPSHOTS_BEGIN: Duration = Duration::from_secs(10 * 60);

/// How long after a snapshot of a volume EC2 may refuse the next one, or make an AMI that fails: 15
/// seconds and some.
const SPACING: Duration = Duration::from_secs(20);
/// How many AMIs of an instance may be pending when another is made: EC2 has five snapshots of a volume
/// under way at most.
const MOST_PENDING: usize = 3;

/// Keeps states of the instance from now on, where that is wanted.
///
/// # Errors
/// None where the steps before have run.
pub(in crate::ebs::steps) fn keep_from_here(ctx: &RunContext, state: &mut State) -> Result<()> {
    if state.states.keys.is_empty() {
        return Ok(());
    }
    let Some(communicator) = state.communicator.take() else { return Ok(()) };
    let line = Arc::new(Line::new(communicator));
    let mut tags = vec![tag(SOURCE_TAG, state.source()?.image_id().unwrap_or_default())];
    if let (Some(key), true) = (&state.key, state.created_key.is_some()) {
        tags.extend(login_tags(&key.public));
    }
    state.states.keeper = Some(Arc::new(Keeper {
        ec2: state.ec2.clone(),
        access: state.access.clone(),
        place: state.place.clone(),
        patience: state.patience(ctx),
        settings: state.settings.clone(),
        source: state.source()?.clone(),
        account: state.states.account.clone(),
        instance: state.instance()?.clone(),
        launched: launched_at(state),
        target: state.target.clone().unwrap_or_default(),
        tags,
        line: Arc::clone(&line),
        images: Arc::clone(&state.states.images),
        moved: parking_lot::Mutex::default(),
    }));
    state.communicator = Some(line);
    Ok(())
}

/// Keeps states of an instance that is reached.
pub(super) struct Keeper {
    ec2: Ec2,
    access: Access,
    place: RegionAccess,
    patience: Patience,
    settings: Settings,
    source: Image,
    account: String,
    instance: Instance,
    /// See [`launched_at`].
    launched: String,
    target: Target,
    /// The tags of all states.
    tags: Vec<Tag>,
    line: Arc<Line>,
    images: Arc<Mutex<Vec<StateImage>>>,
    moved: parking_lot::Mutex<GeneratedData>,
}

impl Keeper {
    /// Values for `build.*` that are other ones since the instance was started again.
    pub(super) fn moved(&self) -> GeneratedData {
        self.moved.lock().clone()
    }

    fn id(&self) -> Result<&str> {
        let id = self.instance.instance_id();
        id.ok_or_else(|| Error::new("AWS did not return the instance's id"))
    }

    /// Starts to make the AMI.
    fn begin(&self, ctx: &RunContext, key: &StateKey) -> Result<StateImage> {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let source = self.id()?.to_owned();
        let mark = ImageMark {
            name: format!("ingot-state-{}-{}", &key.as_str()[..16], &unique[..12]),
            source: source.clone(),
            not_before: self.launched.clone(),
            kept: BTreeSet::new(),
        };
        let mut tags = self.tags.clone();
        tags.push(tag(STATE_TAG, key.as_str()));
        let request = once(&self.ec2)
            .create_image()
            .instance_id(source)
            .name(&mark.name)
            .description("A state of a build, kept by Ingot's step cache")
            .set_tag_specifications(specification(ResourceType::Image, tags).map(|one| vec![one]));
        let (ec2, sought, patience) = (self.ec2.clone(), mark.clone(), self.patience.clone());
        let call = async move {
            let attempt = || async {
                let response = request.clone().send().await.during("creating the AMI")?;
                response.image_id.ok_or_else(nameless)
            };
            create(&patience, attempt, || look_for(|| find_one(&ec2, &sought)), settling).await
        };
        let resource = image_resource(self.place.resource(IMAGE, &mark.name), &mark);
        let call = Creation::begin(ctx, &resource, call)?;
        let region = self.access.region().to_owned();
        let creation = ImageCreation { region, mark, resource, first: false, kept: true, call };
        Ok(StateImage { key: key.clone(), creation, exact: false, begun: Instant::now() })
    }

    /// Asks EC2 whether the instance could be started again, before it is stopped.
    async fn may_start(&self, id: &str) -> Result<()> {
        let call = self.ec2.start_instances().instance_ids(id).dry_run(true).send().await;
        match call.during("starting the instance again would fail") {
            Err(failure) if failure.kind == Kind::Denied => Err(failure.into()),
            _ => Ok(()),
        }
    }

    /// Waits until EC2 has begun with all snapshots of an AMI. Each holds its volume as it is when it
    /// is begun, so that the instance may change it then.
    async fn begun(&self, ctx: &RunContext, id: &str) -> Result<Vec<String>> {
        let disks = self.instance.block_device_mappings().iter();
        let count = disks.filter(|disk| disk.ebs().is_some()).count().max(1);
        let polling = wait_times::quick(self.access.polling(), SNAPSHOTS_BEGIN);
        let look = || async {
            match image_status(&self.ec2, id).await? {
                WaitStatus::Ready(image) => {
                    return Ok(WaitStatus::Ready(snapshots_of(&image).into_iter().collect()));
                }
                WaitStatus::Failed(error) => return Ok(WaitStatus::Failed(error)),
                WaitStatus::Pending(_) => {}
            }
            let snapshots = snapshots_created_for(&self.ec2, id).await?;
            Ok(match snapshots.len() >= count {
                true => WaitStatus::Ready(snapshots),
                false => WaitStatus::Pending(format!("{} of {count}", snapshots.len())),
            })
        };
        until(&ctx.ui, &format!("the snapshots of the AMI {id}"), polling, look).await
    }

    /// Marks the snapshots, for people: the AMI tells which they are.
    async fn mark(&self, key: &StateKey, snapshots: &[String]) {
        let request = self.ec2.create_tags().set_resources(Some(snapshots.to_vec()));
        let call = request.tags(tag(STATE_TAG, key.as_str())).send().await;
        if let Err(failure) = call.during("tagging the snapshots") {
            tracing::warn!(%failure, "the snapshots of a state have no tags");
        }
    }
}

/// Waits until EC2 takes another AMI of the instance after these.
///
/// # Errors
/// The build was cancelled.
pub(super) async fn make_room(
    ctx: &RunContext,
    access: &Access,
    ec2: &Ec2,
    images: &mut [StateImage],
) -> Result<()> {
    let count = images.len();
    for (index, image) in images.iter_mut().enumerate() {
        let Ok(id) = image.creation.call.created().await else { continue };
        if index + MOST_PENDING < count {
            // If it fails, it is not pending either.
            let whole = async { Ok(available(&ctx.ui, access, ec2, &id).await.map(drop)) };
            let _ = ctx.unless_cancelled(whole).await?;
        } else if index + 1 == count
            && image.begun.elapsed() < SPACING
            && !matches!(image_status(ec2, &id).await, Ok(WaitStatus::Ready(_)))
        {
            let rest = SPACING.saturating_sub(image.begun.elapsed());
            ctx.unless_cancelled(async {
                sleep(rest).await;
                Ok(())
            })
            .await?;
        }
    }
    Ok(())
}

#[async_trait]
impl Snapshots for Keeper {
    async fn save(&self, ctx: &RunContext, key: &StateKey) -> Result<()> {
        let id = self.id()?;
        self.may_start(id).await?;
        ctx.ui.say("Stopping the instance to keep its state...");
        self.line.close();
        power::ask_to_stop(&self.ec2, &self.patience, id).await?;
        power::stopped(&ctx.ui, &self.access, &self.ec2, id).await?;
        let there = find_states(&self.ec2, std::slice::from_ref(key)).await?;
        let launch = &self.settings.raw.instance.launch_block_device_mappings;
        if there.iter().any(|one| differs(&self.source, launch, one, &self.account).is_none()) {
            // Another build has kept it meanwhile. What comes next runs on an instance that has started
            // again, as in that build.
            return Ok(());
        }
        let mut images = self.images.lock().await;
        make_room(ctx, &self.access, &self.ec2, &mut images).await?;
        images.push(self.begin(ctx, key)?);
        let Some(image) = images.last_mut() else { return Ok(()) };
        let id = image.creation.call.created().await?;
        image.creation.known(&id, &BTreeSet::new());
        ctx.ui.say(format!("Keeping the state of the instance as the AMI {id}"));
        let snapshots = self.begun(ctx, &id).await?;
        image.creation.known(&id, &snapshots.iter().cloned().collect());
        image.exact = true;
        self.mark(key, &snapshots).await;
        Ok(())
    }

    async fn go_on(&self, ctx: &RunContext) -> Result<GeneratedData> {
        if !self.line.is_closed() {
            return Ok(GeneratedData::new());
        }
        let id = self.id()?;
        ctx.ui.say("Starting the instance again...");
        let started = power::start(&ctx.ui, &self.access, &self.ec2, id).await;
        started.map_err(|error| {
            error.hint("it was stopped to keep its state; try again, or without -cache")
        })?;
        let mut instance = running(&ctx.ui, &self.access, &self.ec2, id).await?;
        let host = host(&self.ec2, &self.settings, &mut instance).await?;
        let target = Target { host, ..self.target.clone() };
        self.line.connect(self.settings.communication.connect(ctx, &target).await?);
        let data = self.settings.communication.generated_data(Some(&target));
        *self.moved.lock() = data.clone();
        Ok(data)
    }
}
