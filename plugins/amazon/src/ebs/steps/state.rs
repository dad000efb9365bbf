//! What the steps of a build hand on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::types::{Image, Instance, Tag};
use ingot_communicator::{KeyPair, Target};
use ingot_sdk::{Communicator, Error, GeneratedData, JournalEntry, Resource, Result, RunContext};
use serde_json::json;

use super::fast_launch::LaunchTemplate;
use super::instance::Launched;
use super::snapshot::CreatedSnapshot;
use super::states::States;
use super::tunnel::Tunnel;
use crate::access::{Access, Ec2};
use crate::ebs::choices::Product;
use crate::ebs::creation::{Creation, Patience};
use crate::ebs::region_access::RegionAccess;
use crate::ebs::removal::{ImageMark, Mark};
use crate::ebs::resources::{
    IMAGE, INSTANCE, SNAPSHOT, SNAPSHOT_ID, VOLUME, image_resource, instance_resource, known_image,
};
use crate::ebs::session_manager::Plugin;
use crate::ebs::settings::Settings;
use crate::ebs::tags::BuildInfo;

/// What the steps share.
pub(crate) struct State {
    /// The options.
    pub settings: Settings,
    /// The way into AWS.
    pub access: Access,
    /// Values for `build.*`.
    pub data: GeneratedData,
    /// The AMIs that were made, by region.
    pub images: BTreeMap<String, CreatedImage>,
    pub(super) ec2: Ec2,
    pub(super) region: String,
    pub(super) place: RegionAccess,
    pub(super) source: Option<Image>,
    pub(super) info: BuildInfo,
    pub(super) subnet: Subnet,
    pub(super) key_name: Option<String>,
    pub(super) key: Option<KeyPair>,
    pub(super) created_key: Option<Creation<String>>,
    pub(super) debug_key: Option<std::path::PathBuf>,
    pub(super) security_groups: Vec<String>,
    pub(super) created_group: Option<(String, Creation<String>)>,
    pub(super) profile: Option<String>,
    pub(super) created_profile: Option<(String, Creation<()>)>,
    pub(super) created_template: Option<(String, Creation<String>)>,
    pub(super) mark: Mark,
    pub(super) launch: Option<Creation<Launched>>,
    pub(super) instance: Option<Instance>,
    pub(super) volumes: Vec<(String, JournalEntry)>,
    pub(super) password: Option<String>,
    pub(super) target: Option<Target>,
    pub(super) communicator: Option<Arc<dyn Communicator>>,
    /// AWS's program for sessions of Systems Manager.
    pub(super) plugin: Option<Plugin>,
    /// The way to the instance through Systems Manager.
    pub(super) tunnel: Option<Tunnel>,
    /// The launch templates that EC2 prepares fast launching with, by region.
    pub(super) launch_templates: BTreeMap<String, LaunchTemplate>,
    /// The AMI that was made from the instance.
    pub(super) first: Option<CreatedImage>,
    pub(super) created_images: Vec<ImageCreation>,
    pub(super) created_snapshots: Vec<CreatedSnapshot>,
    /// The snapshots that are ready, by the devices of their volumes.
    pub(super) snapshots_by_device: BTreeMap<String, String>,
    /// The same in the order in which they were made.
    pub finished_snapshots: Vec<String>,
    /// The volumes that are the user's from now on.
    pub created_volumes: Vec<String>,
    /// What the step cache knows of the instance.
    pub(super) states: States,
}

/// Where the instance runs, as far as that is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Subnet {
    pub(super) vpc: Option<String>,
    pub(super) id: Option<String>,
    pub(super) zone: Option<String>,
}

/// An AMI that was made.
#[derive(Debug, Clone, Default)]
pub(crate) struct CreatedImage {
    /// Its id.
    pub id: String,
    /// Its snapshots.
    pub snapshots: Vec<String>,
    /// Its tags, as AWS told them when it was ready.
    pub(crate) tags: Vec<Tag>,
    /// When it was made, by AWS's clock.
    pub(crate) date: String,
}

/// An AMI that is being made, or was.
pub(super) struct ImageCreation {
    pub(super) region: String,
    pub(super) mark: ImageMark,
    /// What the journal says of it.
    pub(super) resource: Resource,
    /// Whether it is the one that was made from the instance.
    pub(super) first: bool,
    /// Whether a build that succeeds keeps it.
    pub(super) kept: bool,
    pub(super) call: Creation<String>,
}

impl State {
    /// The state before the first step.
    pub(crate) fn new(ctx: &RunContext, settings: Settings, access: Access) -> State {
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
            place: RegionAccess::new(&settings.raw.access, &access, ctx),
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
            created_key: None,
            debug_key: None,
            security_groups: Vec::new(),
            created_group: None,
            profile: None,
            created_profile: None,
            created_template: None,
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
            created_images: Vec::new(),
            created_snapshots: Vec::new(),
            snapshots_by_device: BTreeMap::new(),
            finished_snapshots: Vec::new(),
            created_volumes: Vec::new(),
            states: States::default(),
        }
    }

    /// The AMI to start from.
    pub(super) fn source(&self) -> Result<&Image> {
        self.source.as_ref().ok_or_else(|| Error::new("the source AMI was not looked for"))
    }

    pub(super) fn instance(&self) -> Result<&Instance> {
        self.instance.as_ref().ok_or_else(|| Error::new("the instance was not started"))
    }

    pub(super) fn instance_id(&self) -> Result<&str> {
        let id = self.instance()?.instance_id();
        id.ok_or_else(|| Error::new("AWS did not return the instance's id"))
    }

    /// The journal's record of something in the build's region.
    pub(super) fn resource(&self, kind: &str, id: &str) -> Resource {
        self.place.resource(kind, id)
    }

    /// Writes down which volumes of the instance are the user's by now.
    pub(super) fn amend_launch(&self) {
        let Some(launch) = &self.launch else { return };
        let resource = self.resource(INSTANCE, &self.mark.token);
        launch.amend(&instance_resource(resource, &self.mark));
    }

    /// What a later process has to remove to remove the AMIs.
    pub(crate) fn image_resources(&self) -> Vec<Resource> {
        let kept = self.settings.own_snapshots();
        let resource = |(region, image): (&String, &CreatedImage)| {
            let place = self.place.in_region(region);
            let mark = ImageMark { kept: kept.clone(), ..ImageMark::default() };
            let resource = image_resource(place.resource(IMAGE, &image.id), &mark);
            known_image(&resource, &image.id, &image.snapshots.iter().cloned().collect())
        };
        self.images.iter().map(resource).collect()
    }

    /// What a later process has to remove to remove the volumes and snapshots of `amazon-ebsvolume`.
    pub(crate) fn volume_resources(&self) -> Vec<Resource> {
        let volumes = self.created_volumes.iter().map(|id| self.resource(VOLUME, id));
        let snapshots = self.finished_snapshots.iter();
        let snapshots = snapshots.map(|id| self.resource(SNAPSHOT, id).with(SNAPSHOT_ID, &**id));
        volumes.chain(snapshots).collect()
    }

    /// How long to go on with calls that create something.
    pub(super) fn patience(&self, ctx: &RunContext) -> Patience {
        Patience::new(&ctx.cancel, self.access.tries())
    }

    /// The run tags, rendered.
    pub(super) fn run_tags(&self, ctx: &RunContext) -> Result<Vec<Tag>> {
        self.info.tags(ctx, "run_tags", &self.settings.raw.tags.run_tags)
    }

    /// The values that provisioners get, under Packer's names.
    pub(super) fn generated_data(&self, ctx: &RunContext) -> GeneratedData {
        let mut data = self.settings.communication.generated_data(self.target.as_ref());
        let id = self.instance_id().unwrap_or_default();
        data.insert("ID".to_owned(), json!(id));
        data.insert("PackerRunUUID".to_owned(), json!(ctx.prepare.run_uuid));
        data.extend(self.info.generated());
        data
    }
}

/// Tells that something could not be removed. It stays in the journal.
pub(crate) fn left_behind(ctx: &RunContext, what: &str, why: impl std::fmt::Display) {
    ctx.ui.error(format!("Could not remove {what}: {why}. `ingot cleanup` tries again."));
}

/// The same client, but for calls that are not to be repeated without looking first.
pub(crate) fn once(ec2: &Ec2) -> Ec2 {
    let config = ec2.config().to_builder().retry_config(RetryConfig::disabled());
    Ec2::from_conf(config.build())
}
