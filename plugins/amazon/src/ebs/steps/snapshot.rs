//! Snapshots of the instance's volumes, of which an AMI is made or which are the product.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    CreateVolumePermission, PermissionGroup, ResourceType, SnapshotState, Tag,
};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::attributes::share;
use super::{State, once};
use crate::ebs::choices::Product;
use crate::ebs::creation::{Creation, create};
use crate::ebs::options::given;
use crate::ebs::removal::{find_snapshots, look_for, remove_snapshot, remove_snapshots_of};
use crate::ebs::resources::SNAPSHOT;
use crate::ebs::tags::{report, specification};
use crate::ebs::wait::{WaitStatus, until};
use crate::ebs::wait_times;
use crate::failure::{During, Failure, Kind};

/// Makes the snapshots that the product needs.
pub(super) struct SnapshotVolumes;

/// A snapshot that is being made, or was.
pub(super) struct CreatedSnapshot {
    /// The instance's device that its volume is.
    device: String,
    volume: String,
    call: Creation<String>,
}

/// A snapshot to create.
struct SnapshotRequest {
    device: String,
    volume: String,
    description: String,
    tags: Vec<Tag>,
    shares: Vec<(&'static str, Vec<CreateVolumePermission>)>,
}

#[async_trait]
impl Step<State> for SnapshotVolumes {
    fn name(&self) -> &'static str {
        "make snapshots"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let requests = snapshot_requests(ctx, state)?;
        for one in &requests {
            report(ctx, &one.tags);
            ctx.ui.say(format!("Creating snapshot of EBS Volume {}...", one.volume));
            let call = begin(ctx, state, one)?;
            state.created_snapshots.push(call);
        }
        let polling = wait_times::slow(state.access.polling(), wait_times::IMAGE);
        for snapshot in &mut state.created_snapshots {
            let id = snapshot.call.created().await?;
            ctx.ui.say(format!("Waiting for {id} to be ready."));
            let look = || async {
                let response = state.ec2.describe_snapshots().snapshot_ids(&id).send().await;
                let found = match response.during("describing the snapshot") {
                    Ok(response) => response.snapshots.unwrap_or_default().into_iter().next(),
                    Err(failure) if failure.kind == Kind::NotFound => None,
                    Err(failure) => return Err(failure),
                };
                Ok(match found.as_ref().and_then(|snapshot| snapshot.state()) {
                    Some(SnapshotState::Completed) => WaitStatus::Ready(()),
                    Some(SnapshotState::Error) => {
                        let why = found.and_then(|one| one.state_message).unwrap_or_default();
                        WaitStatus::Failed(Error::new(format!("the snapshot {id} failed: {why}")))
                    }
                    other => {
                        WaitStatus::Pending(other.map_or("not seen yet", |s| s.as_str()).to_owned())
                    }
                })
            };
            until(&ctx.ui, &format!("the snapshot {id}"), polling, look).await?;
            state.finished_snapshots.push(id.clone());
            state.snapshots_by_device.insert(snapshot.device.clone(), id);
        }
        for one in &requests {
            if let Some(id) = state.snapshots_by_device.get(&one.device) {
                share(ctx, &state.ec2, id, &one.shares).await?;
            }
        }
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, outcome: Outcome) {
        let created = std::mem::take(&mut state.created_snapshots);
        if outcome == Outcome::Succeeded {
            created.into_iter().for_each(|snapshot| snapshot.call.done());
            return;
        }
        if !created.is_empty() {
            ctx.ui.say("Removing snapshots since we cancelled or halted...");
        }
        // Where the step is tried again, it makes others.
        state.finished_snapshots.clear();
        state.snapshots_by_device.clear();
        for mut snapshot in created {
            let removed = match snapshot.call.settle().await {
                Some(id) => remove_snapshot(&state.ec2, &id).await,
                None => remove_snapshots_of(&state.ec2, &snapshot.volume).await,
            };
            match removed {
                Ok(()) => snapshot.call.done(),
                Err(failure) => {
                    let what = format!("the snapshot of {}", snapshot.volume);
                    super::left_behind(ctx, &what, failure);
                }
            }
        }
    }

    async fn leave(&self, ctx: &RunContext, state: &mut State) {
        super::resume::keep_only_instance(self, ctx, state).await;
    }
}

fn begin(ctx: &RunContext, state: &State, wanted: &SnapshotRequest) -> Result<CreatedSnapshot> {
    let tags = specification(ResourceType::Snapshot, wanted.tags.clone());
    let request = once(&state.ec2)
        .create_snapshot()
        .volume_id(&wanted.volume)
        .description(&wanted.description)
        .set_tag_specifications(tags.map(|tags| vec![tags]));
    let (ec2, volume, patience) = (state.ec2.clone(), wanted.volume.clone(), state.patience(ctx));
    let resource = state.resource(SNAPSHOT, &volume);
    let sought = volume.clone();
    let call = async move {
        let attempt = || async {
            let response = request.clone().send().await.during("making a snapshot")?;
            let none = || Failure::new(Kind::Broken, "AWS did not return the snapshot's id");
            response.snapshot_id.ok_or_else(none)
        };
        let find =
            || look_for(|| async { Ok(find_snapshots(&ec2, &sought).await?.into_iter().next()) });
        create(&patience, attempt, find, |_| false).await
    };
    let call = Creation::begin(ctx, &resource, call)?;
    Ok(CreatedSnapshot { device: wanted.device.clone(), volume, call })
}

/// The snapshots to create of the volumes of the instance.
fn snapshot_requests(ctx: &RunContext, state: &State) -> Result<Vec<SnapshotRequest>> {
    let settings = &state.settings;
    let volumes = volumes(state)?;
    let of = |device: &str, description: Option<String>, tags, shares| -> Result<SnapshotRequest> {
        let volume = volumes.get(device).cloned().ok_or_else(|| lacks(device))?;
        let description = description.unwrap_or_else(default_description);
        Ok(SnapshotRequest { device: device.to_owned(), volume, description, tags, shares })
    };
    match &settings.product {
        Product::Image => Ok(Vec::new()),
        Product::Surrogate(own) => {
            let devices = settings.raw.instance.launch_block_device_mappings.iter();
            let devices = devices.filter(|one| one.is_volume() && !one.omit_from_artifact);
            let names = devices.filter_map(|device| given(&device.device_name));
            let tags = &settings.raw.tags.snapshot_tags;
            names
                .map(|name| {
                    let tags = state.info.tags(ctx, "snapshot_tags", tags)?;
                    let description = given(&own.snapshot_description).map(str::to_owned);
                    of(name, description, tags, Vec::new())
                })
                .collect()
        }
        Product::Volumes(all) => all
            .iter()
            .filter(|volume| volume.snapshot_volume)
            .map(|volume| {
                let name = given(&volume.device.device_name).unwrap_or_default();
                let tags = state.info.tags(ctx, "snapshot_tags", &volume.snapshot_tags)?;
                let permission = CreateVolumePermission::builder;
                let group = |name: &String| {
                    permission().group(PermissionGroup::from(name.as_str())).build()
                };
                let shares = [
                    ("groups", volume.snapshot_groups.iter().map(group).collect::<Vec<_>>()),
                    (
                        "users",
                        volume
                            .snapshot_users
                            .iter()
                            .map(|id| permission().user_id(id).build())
                            .collect(),
                    ),
                ];
                let shares = shares.into_iter().filter(|(_, list)| !list.is_empty()).collect();
                let description = given(&volume.snapshot_description);
                let description = description
                    .map(|text| state.info.render(ctx, "snapshot_description", text))
                    .transpose()?;
                of(name, description, tags, shares)
            })
            .collect(),
    }
}

/// The instance's volumes by their devices.
pub(super) fn volumes(state: &State) -> Result<BTreeMap<String, String>> {
    let devices = state.instance()?.block_device_mappings().iter();
    let volume = |device: &aws_sdk_ec2::types::InstanceBlockDeviceMapping| {
        Some((device.device_name()?.to_owned(), device.ebs()?.volume_id()?.to_owned()))
    };
    Ok(devices.filter_map(volume).collect())
}

/// The error that the instance lacks a volume which it was launched with.
pub(super) fn lacks(device: &str) -> Error {
    Error::new(format!("EC2 lists no volume {device} of the instance"))
}

fn default_description() -> String {
    format!("Packer: {}", OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default())
}
