//! Looking for a state to start from, and what becomes of new ones at the end.

use std::collections::BTreeSet;
use std::path::Path;

use aws_sdk_ec2::types::{BlockDeviceMapping, DeviceType, Image};
use ingot_communicator::remove_authorized_key;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Communicator, Error, Result, RunContext, StateKey, Step, async_trait};
use tokio::time::{Instant, timeout_at};

use super::image::{SOURCE_TAG, StateImage};
use super::limits::cannot_be_held;
use super::login::login_of;
use crate::ebs::cached_images::{Record, Records, forget_gone};
use crate::ebs::choices::KeyChoice;
use crate::ebs::options::{BlockDevice, given};
use crate::ebs::region_access::{ACCOUNT, attribute};
use crate::ebs::removal::{ImageMark, snapshots_of};
use crate::ebs::resources::{IMAGE, image_resource, known_image};
use crate::ebs::state_images::{STATE_TAG, find_states};
use crate::ebs::steps::create_image::{available, remove};
use crate::ebs::steps::{State, left_behind};
use crate::ebs::wait_times;

/// The largest file with a key that is read, in bytes.
const LARGEST_KEY: u64 = 1 << 20;

/// A state to start from.
pub(in crate::ebs::steps) struct FoundState {
    /// How many provisioners have run on it.
    done: usize,
    image: Image,
}

impl FoundState {
    /// See [`ingot_sdk::Provisioning::done`].
    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// The AMI that keeps it.
    pub(in crate::ebs::steps) fn image_id(&self) -> Option<&str> {
        self.image.image_id()
    }

    /// The disks of an instance that is launched from it, where `launch` are those of one that is
    /// launched from the source AMI: what is on them comes from the state.
    pub(in crate::ebs::steps) fn mappings(
        &self,
        launch: Vec<BlockDeviceMapping>,
    ) -> Vec<BlockDeviceMapping> {
        let root = self.image.root_device_name();
        let mut mappings = Vec::new();
        for mut mapping in launch {
            let name = mapping.device_name();
            let mut disks = self.image.block_device_mappings().iter();
            let disk = disks.find(|disk| disk.device_name() == name);
            if mapping.no_device().is_some() && disk.is_none() {
                // It is left out already.
                continue;
            }
            let snapshot = disk.and_then(|disk| disk.ebs()?.snapshot_id().map(str::to_owned));
            let is_root = name == root;
            if let (Some(ebs), Some(snapshot)) = (&mut mapping.ebs, snapshot) {
                // That of the root device cannot be said.
                ebs.snapshot_id = (!is_root).then_some(snapshot);
                // EC2 takes no more than that it is to be encrypted, of a volume with contents.
                ebs.encrypted = ebs.encrypted.filter(|&encrypted| encrypted);
            }
            mappings.push(mapping);
        }
        mappings
    }

    /// Takes away the key that the build that kept the state let itself in with.
    pub(in crate::ebs::steps) async fn forget_login(
        &self,
        ctx: &RunContext,
        communicator: &dyn Communicator,
    ) {
        let Some(key) = login_of(self.image.tags()) else { return };
        tracing::debug!(build = %ctx.prepare.build_name, "removing the key of an earlier build");
        remove_authorized_key(communicator, &key).await;
    }
}

/// Looks for the last state that is kept. At the end of the build, keeps those that it has made.
pub(in crate::ebs::steps) struct FindState;

#[async_trait]
impl Step<State> for FindState {
    fn name(&self) -> &'static str {
        "look for a cached state"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let Some(cache) = ctx.hook.state_records() else { return Ok(()) };
        let windows = state.source()?.platform().is_some();
        let windows = windows.then(|| "Windows sets a new instance up anew".to_owned());
        let found = match cannot_be_held(&state.settings).or(windows) {
            Some(why) => Err(Error::new(why)),
            None => look(ctx, state, Records::new(&cache)).await,
        };
        if let Err(error) = found {
            ctx.ui.say(format!("No state of the instance is kept: {error}"));
            state.states.keys = Vec::new();
        }
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, _: Outcome) {
        settle(ctx, state).await;
    }

    async fn leave(&self, ctx: &RunContext, state: &mut State) {
        settle(ctx, state).await;
    }
}

async fn look(ctx: &RunContext, state: &mut State, records: Records) -> Result<()> {
    let account = match state.access.account() {
        Some(account) => account.to_owned(),
        None => state.access.ask_account(None).await?,
    };
    let mut keys = ctx.hook.state_keys(ctx, &base_key(ctx, state, &account)?).await;
    if keys.is_empty() {
        return Ok(());
    }
    let images = find_states(&state.ec2, &keys).await?;
    for (index, key) in keys.iter().enumerate().rev() {
        let mut own = images.iter().filter(|image| key_of(image) == Some(key.as_str()));
        let found = own.find(|image| {
            let why = mismatch(state, image, &account);
            if let Some(why) = &why {
                let id = image.image_id().unwrap_or_default();
                ctx.ui.say(format!("A cached state, the AMI {id}, cannot be used: {why}"));
            }
            why.is_none()
        });
        if let Some(image) = found {
            note(state, &records, key, image, &account);
            let id = image.image_id().unwrap_or_default();
            ctx.ui.say(format!("Starting from the AMI {id}, which keeps a state of this build"));
            state.states.found = Some(FoundState { done: index + 1, image: image.clone() });
            break;
        }
    }
    let is_missing =
        |key: &&StateKey| !images.iter().any(|image| key_of(image) == Some(key.as_str()));
    let missing: Vec<StateKey> = keys.iter().filter(is_missing).cloned().collect();
    let is_here = |resource: &ingot_sdk::Resource| {
        attribute(resource, "region") == Some(&state.region)
            && attribute(resource, ACCOUNT) == Some(&account)
    };
    if let Err(error) = forget_gone(&state.ec2, &records, &missing, is_here).await {
        tracing::warn!(%error, "records of states that are gone may stay");
    }
    if let Err(error) = records.try_writing() {
        ctx.ui.say(format!("No more states of the instance are kept: {error}"));
        keys.truncate(state.states.found.as_ref().map_or(0, FoundState::done));
    }
    state.states.records = Some(records);
    (state.states.keys, state.states.account) = (keys, account);
    Ok(())
}

fn key_of(image: &Image) -> Option<&str> {
    tag_of(image, STATE_TAG)
}

fn tag_of<'a>(image: &'a Image, name: &str) -> Option<&'a str> {
    image.tags().iter().find(|tag| tag.key() == Some(name)).and_then(|tag| tag.value())
}

/// What the instance before its first provisioner depends on: all options but those of what is made
/// of it.
fn base_key(ctx: &RunContext, state: &State, account: &str) -> Result<StateKey> {
    let raw = &state.settings.raw;
    let source = state.source()?;
    let mut communicator = raw.communicator.clone();
    // No machine is the other for it, and it is often another one each time.
    communicator.ssh.temporary_key_pair_name = None;
    let mut parts = vec![
        account.to_owned(),
        state.region.clone(),
        source.image_id().unwrap_or_default().to_owned(),
        source.creation_date().unwrap_or_default().to_owned(),
        format!("{:?}", snapshots_of(source)),
        format!("{:?}", raw.instance),
        format!("{:?}", raw.network),
        format!("{communicator:?}"),
    ];
    if let KeyChoice::File(path) = &state.settings.key {
        // Under the same name, it may be another one by now, and the one before is on the disk.
        let text = ingot_sdk::file_work::read_small(Path::new(path), "key", LARGEST_KEY)?;
        parts.push(String::from_utf8_lossy(&text).into_owned());
    }
    let metadata = raw.instance.metadata_options.as_ref();
    let tags = metadata.and_then(|options| given(&options.instance_metadata_tags));
    if tags == Some("enabled") {
        // The instance sees them.
        parts.push(format!("{:?}", state.run_tags(ctx)?));
    }
    Ok(StateKey::of("amazon-ebs 1", parts))
}

/// Why a build does not start from this AMI although it has the key, which says all that matters: it
/// is not as AMIs of this build are.
fn mismatch(state: &State, image: &Image, account: &str) -> Option<String> {
    let source = state.source().ok()?;
    let launch = &state.settings.raw.instance.launch_block_device_mappings;
    differs(source, launch, image, account)
}

pub(super) fn differs(
    source: &Image,
    launch: &[BlockDevice],
    image: &Image,
    account: &str,
) -> Option<String> {
    let wrong = |wrong: bool, what: &str| wrong.then(|| what.to_owned());
    let disks = disks(image);
    let missing = expected_disks(source, launch).into_iter().find(|name| !disks.contains(name));
    let reasons = [
        wrong(image.owner_id().is_some_and(|owner| owner != account), "it is another account's"),
        wrong(tag_of(image, SOURCE_TAG) != source.image_id(), "it is of another source AMI"),
        wrong(image.architecture() != source.architecture(), "its architecture is another one"),
        wrong(
            image.virtualization_type() != source.virtualization_type(),
            "its virtualization is another one",
        ),
        wrong(
            image.root_device_type() == Some(&DeviceType::InstanceStore),
            "its root device is an instance store volume",
        ),
        wrong(
            image.root_device_name() != source.root_device_name(),
            "its root device is another one",
        ),
        missing.map(|name| format!("it has no snapshot of {name}")),
    ];
    reasons.into_iter().flatten().next()
}

/// The devices of an AMI that have a snapshot.
fn disks(image: &Image) -> BTreeSet<String> {
    let disks = image.block_device_mappings().iter();
    let disks = disks.filter(|disk| disk.ebs().is_some_and(|ebs| ebs.snapshot_id().is_some()));
    disks.filter_map(|disk| disk.device_name.clone()).collect()
}

/// The volumes that an instance has that is launched from `source` with the disks of `launch`.
fn expected_disks(source: &Image, launch: &[BlockDevice]) -> BTreeSet<String> {
    let own = source.block_device_mappings().iter().filter(|disk| disk.ebs().is_some());
    let mut expected: BTreeSet<String> = own.filter_map(|disk| disk.device_name.clone()).collect();
    for disk in launch {
        let Some(name) = given(&disk.device_name) else { continue };
        match disk.no_device || given(&disk.virtual_name).is_some() {
            true => expected.remove(name),
            false => expected.insert(name.to_owned()),
        };
    }
    expected
}

/// Writes down where a state is that another machine has kept, or whose record was lost.
fn note(state: &State, records: &Records, key: &StateKey, image: &Image, account: &str) {
    let known = records.read(key).ok().flatten();
    let id = image.image_id().unwrap_or_default();
    if known.is_some_and(|known| attribute(&known.image, "image_id") == Some(id)) {
        return;
    }
    let name = image.name().unwrap_or(id);
    let mark = ImageMark { name: name.to_owned(), ..ImageMark::default() };
    let resource = image_resource(state.resource(IMAGE, name), &mark);
    if let Err(error) = records.write(key, &record(image, &resource, account)) {
        tracing::warn!(%error, "a state could not be recorded");
    }
}

/// The record of an AMI that is whole.
fn record(image: &Image, resource: &ingot_sdk::Resource, account: &str) -> Record {
    let id = image.image_id().unwrap_or_default();
    let snapshots = snapshots_of(image).into_iter().collect();
    let mut resource = known_image(resource, id, &snapshots);
    resource = resource.with(ACCOUNT, image.owner_id().unwrap_or(account));
    Record::new(image, resource)
}

/// Keeps the AMIs that the build has made as states, once they are whole. Who interrupts a build wants
/// to be gone, and has none of them.
async fn settle(ctx: &RunContext, state: &mut State) {
    let images = std::mem::take(&mut *state.states.images.lock().await);
    if !images.is_empty() && !ctx.cancel.is_cancelled() {
        ctx.ui.say("Waiting for the AMIs that keep states of the instance...");
    }
    let end = Instant::now() + wait_times::IMAGE;
    for mut image in images {
        let keep = async {
            let late = |_| Error::new("its AMI is not ready yet");
            timeout_at(end, keep(ctx, state, &mut image)).await.map_err(late)?
        };
        let kept = ctx.unless_cancelled(keep).await;
        let Err(error) = kept else {
            image.creation.call.done();
            continue;
        };
        let name = image.creation.mark.name.clone();
        // Errors of others were already reported.
        if !error.is_cancelled() && image.exact {
            ctx.ui.say(format!("A state of the instance is not kept: {error}"));
        }
        ctx.ui.say(format!("Removing the AMI {name}, which was to keep a state"));
        let known = image.creation.call.settle().await;
        match remove(&state.ec2, &image.creation, known).await {
            Ok(()) => image.creation.call.done(),
            Err(failure) => left_behind(ctx, &format!("the AMI {name}"), failure),
        }
    }
}

async fn keep(ctx: &RunContext, state: &State, image: &mut StateImage) -> Result<()> {
    if !image.exact {
        return Err(Error::new("EC2 began with its snapshots too late"));
    }
    let id = image.creation.call.created().await?;
    let whole = available(&ctx.ui, &state.access, &state.ec2, &id).await?;
    let records = state.states.records.as_ref();
    let records = records.ok_or_else(|| Error::new("there is no directory for its record"))?;
    records.write(&image.key, &record(&whole, &image.creation.resource, &state.states.account))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::EbsBlockDevice;

    use super::*;
    use crate::ebs::devices;
    use crate::ebs::tags::tag;

    fn disk(name: &str, snapshot: &str) -> BlockDeviceMapping {
        let ebs = EbsBlockDevice::builder().snapshot_id(snapshot).build();
        BlockDeviceMapping::builder().device_name(name).ebs(ebs).build()
    }

    fn device(name: &str) -> BlockDevice {
        BlockDevice { device_name: Some(name.to_owned()), ..BlockDevice::default() }
    }

    #[test]
    fn a_state_of_other_inputs_is_not_used() {
        let source = Image::builder()
            .image_id("ami-1")
            .architecture("x86_64".into())
            .root_device_name("/dev/sda1")
            .block_device_mappings(disk("/dev/sda1", "snap-1"))
            .block_device_mappings(disk("/dev/sdz", "snap-2"))
            .build();
        let launch = [device("/dev/sdb"), BlockDevice { no_device: true, ..device("/dev/sdz") }];
        let state = || {
            Image::builder()
                .owner_id("1")
                .architecture("x86_64".into())
                .root_device_name("/dev/sda1")
                .tags(tag(SOURCE_TAG, "ami-1"))
                .block_device_mappings(disk("/dev/sda1", "snap-3"))
                .block_device_mappings(disk("/dev/sdb", "snap-4"))
        };
        let why = |image: Image| differs(&source, &launch, &image, "1");
        assert_eq!(why(state().build()), None);
        for (image, part) in [
            (state().owner_id("2"), "another account's"),
            (state().set_tags(None), "another source AMI"),
            (state().architecture("arm64".into()), "architecture"),
            (state().root_device_name("/dev/xvda"), "root device"),
            (state().root_device_type(DeviceType::InstanceStore), "instance store"),
            (state().set_block_device_mappings(None), "no snapshot of /dev/sda1"),
        ] {
            let said = why(image.build()).unwrap_or_default();
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn disks_have_the_contents_of_the_state() {
        let image = Image::builder()
            .root_device_name("/dev/sda1")
            .block_device_mappings(disk("/dev/sda1", "snap-3"))
            .block_device_mappings(disk("/dev/sdb", "snap-4"))
            .build();
        let found = FoundState { done: 1, image };
        let launch = [
            BlockDevice { encrypted: Some(true), ..device("/dev/sda1") },
            BlockDevice {
                encrypted: Some(false),
                volume_size: 9,
                snapshot_id: Some("snap-user".to_owned()),
                ..device("/dev/sdb")
            },
            BlockDevice { no_device: true, ..device("/dev/sdz") },
        ];
        let mappings = found.mappings(devices::mappings(&launch, false));
        let shown = |one: &BlockDeviceMapping| {
            let ebs = one.ebs().unwrap();
            (one.device_name().unwrap().to_owned(), ebs.snapshot_id.clone(), ebs.encrypted)
        };
        let shown: Vec<_> = mappings.iter().map(shown).collect();
        assert_eq!(
            shown,
            [
                ("/dev/sda1".to_owned(), None, Some(true)),
                ("/dev/sdb".to_owned(), Some("snap-4".to_owned()), None)
            ]
        );
        assert_eq!(mappings[1].ebs().unwrap().volume_size(), Some(9));
    }
}
