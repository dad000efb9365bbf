//! The steps of a build, in Packer's order. Each has a file of its own.

mod attributes;
mod connect;
mod copy;
mod create_image;
mod deregister;
mod fast_launch;
mod image_tags;
mod key_pair;
mod launch;
mod network;
mod password;
mod prevalidate;
mod profile;
mod protection;
mod register;
mod security_group;
mod snapshot;
mod source_ami;
mod spot;
mod stop;
mod swap;
mod tunnel;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::types::{Image, Instance, Tag};
use ingot_communicator::{KeyPair, Target};
use ingot_sdk::{
    Communicator, Error, GeneratedData, JournalEntry, ProvisionStep, Resource, Result, RunContext,
    Step,
};
use serde_json::json;

use super::creation::{Creation, Patience};
use super::place::Place;
use super::removal::{ImageMark, Mark};
use super::session_manager::Plugin;
use super::settings::{Product, Settings};
use super::tags::BuildInfo;
use crate::access::{Access, Ec2};
use fast_launch::LaunchTemplate;
use launch::Launched;
use snapshot::MadeSnapshot;
use tunnel::Tunnel;

/// What the steps share.
pub(super) struct State {
    /// The options.
    pub settings: Settings,
    /// The way into AWS.
    pub access: Access,
    /// Values for `build.*`.
    pub data: GeneratedData,
    /// The AMIs that were made, by region.
    pub images: BTreeMap<String, MadeImage>,
    ec2: Ec2,
    region: String,
    place: Place,
    source: Option<Image>,
    info: BuildInfo,
    subnet: Subnet,
    key_name: Option<String>,
    key: Option<KeyPair>,
    made_key: Option<Creation<String>>,
    debug_key: Option<std::path::PathBuf>,
    security_groups: Vec<String>,
    made_group: Option<(String, Creation<String>)>,
    profile: Option<String>,
    made_profile: Option<(String, Creation<()>)>,
    made_template: Option<(String, Creation<String>)>,
    mark: Mark,
    launch: Option<Creation<Launched>>,
    instance: Option<Instance>,
    volumes: Vec<(String, JournalEntry)>,
    password: Option<String>,
    target: Option<Target>,
    communicator: Option<Arc<dyn Communicator>>,
    /// AWS's program for sessions of Systems Manager.
    plugin: Option<Plugin>,
    /// The way to the instance through Systems Manager.
    tunnel: Option<Tunnel>,
    /// The launch templates that EC2 prepares fast launching with, by region.
    launch_templates: BTreeMap<String, LaunchTemplate>,
    /// The AMI that was made from the instance.
    first: Option<MadeImage>,
    made_images: Vec<ImageCreation>,
    made_snapshots: Vec<MadeSnapshot>,
    /// The snapshots that are ready, by the devices of their volumes.
    snapshots_by_device: BTreeMap<String, String>,
    /// The same in the order in which they were made.
    pub finished_snapshots: Vec<String>,
    /// The volumes that are the user's from now on.
    pub made_volumes: Vec<String>,
}

/// Where the instance runs, as far as that is known.
#[derive(Debug, Clone, Default)]
struct Subnet {
    vpc: Option<String>,
    id: Option<String>,
    zone: Option<String>,
}

/// An AMI that was made.
#[derive(Debug, Clone, Default)]
pub(super) struct MadeImage {
    /// Its id.
    pub id: String,
    /// Its snapshots.
    pub snapshots: Vec<String>,
    /// Its tags, as AWS told them when it was ready.
    tags: Vec<Tag>,
    /// When it was made, by AWS's clock.
    date: String,
}

/// An AMI that is being made, or was.
struct ImageCreation {
    region: String,
    mark: ImageMark,
    /// What the journal says of it.
    resource: Resource,
    /// Whether it is the one that was made from the instance.
    first: bool,
    /// Whether a build that succeeds keeps it.
    kept: bool,
    call: Creation<String>,
}

impl State {
    /// The state before the first step.
    pub(super) fn new(ctx: &RunContext, settings: Settings, access: Access) -> State {
        let region = access.region().to_owned();
        let launch = &settings.raw.instance.launch_block_device_mappings;
        let kept = match settings.product {
            // Not before the build has succeeded.
            Product::Volumes(_) => BTreeSet::new(),
            Product::Image | Product::Surrogate(_) => {
                launch.iter().filter_map(|device| device.device_name.clone()).collect()
            }
        };
        State {
            mark: Mark { token: uuid::Uuid::new_v4().to_string(), kept },
            place: Place::new(&settings.raw.access, &access, ctx),
            ec2: access.client(&region),
            region,
            settings,
            access,
            data: GeneratedData::new(),
            images: BTreeMap::new(),
            source: None,
            info: BuildInfo::default(),
            subnet: Subnet::default(),
            key_name: None,
            key: None,
            made_key: None,
            debug_key: None,
            security_groups: Vec::new(),
            made_group: None,
            profile: None,
            made_profile: None,
            made_template: None,
            launch: None,
            instance: None,
            volumes: Vec::new(),
            password: None,
            target: None,
            communicator: None,
            plugin: None,
            tunnel: None,
            launch_templates: BTreeMap::new(),
            first: None,
            made_images: Vec::new(),
            made_snapshots: Vec::new(),
            snapshots_by_device: BTreeMap::new(),
            finished_snapshots: Vec::new(),
            made_volumes: Vec::new(),
        }
    }

    /// The AMI to start from.
    fn source(&self) -> Result<&Image> {
        self.source.as_ref().ok_or_else(|| Error::new("the source AMI was not looked for"))
    }

    fn instance(&self) -> Result<&Instance> {
        self.instance.as_ref().ok_or_else(|| Error::new("the instance was not started"))
    }

    fn instance_id(&self) -> Result<&str> {
        let id = self.instance()?.instance_id();
        id.ok_or_else(|| Error::new("AWS did not tell the instance's id"))
    }

    /// The journal's record of something in the build's region.
    fn resource(&self, kind: &str, id: &str) -> Resource {
        self.place.resource(kind, id)
    }

    /// How long to go on with calls that create something.
    fn patience(&self, ctx: &RunContext) -> Patience {
        Patience::new(&ctx.cancel, self.access.tries())
    }

    /// The run tags, rendered.
    fn run_tags(&self, ctx: &RunContext) -> Result<Vec<Tag>> {
        self.info.tags(ctx, "run_tags", &self.settings.raw.tags.run_tags)
    }

    /// What provisioners are told, under Packer's names.
    fn generated_data(&self, ctx: &RunContext) -> GeneratedData {
        let mut data = self.settings.communication.generated_data(self.target.as_ref());
        let id = self.instance_id().unwrap_or_default();
        data.insert("ID".to_owned(), json!(id));
        data.insert("PackerRunUUID".to_owned(), json!(ctx.prepare.run_uuid));
        data.extend(self.info.generated());
        data
    }
}

/// Tells that something could not be removed. It stays in the journal.
fn left_behind(ctx: &RunContext, what: &str, why: impl std::fmt::Display) {
    ctx.ui.error(format!("Could not remove {what}: {why}. `ingot cleanup` tries again."));
}

/// The same client, but for calls that are not to be repeated without looking first.
fn once(ec2: &Ec2) -> Ec2 {
    let config = ec2.config().to_builder().retry_config(RetryConfig::disabled());
    Ec2::from_conf(config.build())
}

/// The steps of a build with these options.
pub(super) fn steps(settings: &Settings) -> Vec<Box<dyn Step<State>>> {
    let mut steps: Vec<Box<dyn Step<State>>> = Vec::new();
    if settings.uses_session_manager() {
        steps.push(Box::new(tunnel::FindPlugin));
    }
    let makes_image = settings.volumes().is_none();
    if makes_image {
        steps.push(Box::new(prevalidate::Prevalidate));
    }
    steps.push(Box::new(source_ami::FindSourceAmi));
    steps.push(Box::new(network::FindNetwork));
    steps.push(Box::new(key_pair::MakeKeyPair));
    steps.push(Box::new(security_group::MakeSecurityGroup));
    steps.push(Box::new(profile::MakeProfile));
    if settings.is_spot() {
        steps.push(Box::new(spot::MakeLaunchTemplate));
    }
    steps.push(Box::new(launch::Launch));
    if !makes_image {
        steps.push(Box::new(volumes::TagVolumes));
    }
    if settings.raw.communicator.kind() == "winrm" {
        steps.push(Box::new(password::GetPassword));
    }
    if settings.uses_session_manager() {
        steps.push(Box::new(tunnel::OpenTunnel));
    }
    steps.push(Box::new(connect::Connect));
    steps.push(Box::new(ProvisionStep));
    steps.push(Box::new(stop::Stop));
    steps.push(Box::new(stop::Modify));
    let registers = match &settings.product {
        Product::Image => false,
        Product::Surrogate(own) => !own.use_create_image,
        Product::Volumes(_) => {
            steps.push(Box::new(snapshot::SnapshotVolumes));
            steps.push(Box::new(volumes::KeepVolumes));
            return steps;
        }
    };
    match &settings.product {
        Product::Surrogate(_) if registers => steps.push(Box::new(snapshot::SnapshotVolumes)),
        Product::Surrogate(_) => steps.push(Box::new(swap::SwapVolumes)),
        Product::Image | Product::Volumes(_) => {}
    }
    if settings.raw.ami.force_deregister {
        steps.push(Box::new(deregister::Deregister));
    }
    match registers {
        true => steps.push(Box::new(register::RegisterImage)),
        false => steps.push(Box::new(create_image::CreateImage)),
    }
    steps.push(Box::new(copy::CopyImage));
    if settings.fast_launch().is_some() {
        steps.push(Box::new(fast_launch::EnableFastLaunch));
    }
    steps.push(Box::new(protection::Deprecate));
    steps.push(Box::new(attributes::ModifyAttributes));
    steps.push(Box::new(image_tags::TagImages));
    // Last, so that nothing can fail any more when an AMI cannot be removed.
    steps.push(Box::new(protection::Protect));
    steps
}
