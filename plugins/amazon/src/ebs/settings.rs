//! The options, checked and with their defaults.

use std::collections::BTreeSet;
use std::time::Duration;

use ingot_communicator::{Communication, CommunicatorKind};
use ingot_sdk::{ConfigErrors, ConfigWarning, PrepareContext, Prepared};

use super::checks;
use super::choices::{Cidr, KeyChoice, Product};
use super::options::{EbsVolume, FastLaunch, Options, SESSION_MANAGER, given};
use crate::polling;

/// The checked options.
#[derive(Clone, Default)]
pub(super) struct Settings {
    /// The options as written, with the tags of blocks moved to the others.
    pub raw: Options,
    /// How to reach the instance.
    pub communication: Communication,
    /// The key to log in with.
    pub key: KeyChoice,
    /// Who reaches the instance, where a security group is made.
    pub sources: Vec<Cidr>,
    /// What is made.
    pub product: Product,
}

impl Settings {
    /// Checks the options, offline.
    ///
    /// # Errors
    /// All that is wrong.
    pub(super) fn prepare(
        mut raw: Options,
        product: Product,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Settings>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut warnings = Vec::new();
        raw.tags.merge();
        raw.spot.merge();
        raw.ami.force_deregister |= ctx.force;
        let protection = raw.ami.deregistration_protection.as_mut();
        if let Some(protection) = protection {
            protection.enabled |= protection.with_cooldown;
        }
        let communication = raw.communicator.prepare_with(&mut warnings, &mut errors);
        let key = key_choice(&raw, ctx);
        raw.access.check(&mut errors);
        let polling = polling::warnings(raw.access.aws_polling.as_ref());
        warnings.extend(polling.into_iter().map(ConfigWarning::from));
        match &product {
            Product::Image => checks::ami(&raw, &mut errors, &mut warnings),
            Product::Surrogate(own) => {
                checks::ami(&raw, &mut errors, &mut warnings);
                checks::surrogate(&raw, own, &mut errors, &mut warnings);
            }
            Product::Volumes(volumes) => checks::volumes(volumes, ctx, &mut errors),
        }
        checks::devices(&raw, &product, &mut errors, &mut warnings);
        checks::source(&raw, &mut errors);
        checks::instance(&raw, &mut errors, &mut warnings);
        checks::enhanced_networking(&raw, &product, &mut errors, &mut warnings);
        checks::placement(&raw, &mut errors);
        checks::network(&raw, &mut errors, &mut warnings);
        checks::login(&raw, &key, &mut errors, &mut warnings);
        checks::spot(&raw, &mut errors, &mut warnings);
        checks::templates(&raw, ctx, &mut errors);
        let sources = sources(&raw);
        let generated = super::tags::GENERATED.iter().map(|&name| name.to_owned()).collect();
        let settings = Settings { raw, communication, key, sources, product };
        let no_artifact = settings.raw.ami.skip_create_ami;
        let no_artifact = no_artifact.then(|| "skip_create_ami is set".to_owned());
        let claims = settings.claims();
        Prepared { ready: settings, warnings, generated, claims, no_artifact }.or_errors(errors)
    }

    /// The snapshots that the template names for its disks. AMIs may refer to them, but they are
    /// the user's.
    pub(super) fn own_snapshots(&self) -> BTreeSet<String> {
        let (ami, instance) = (&self.raw.ami, &self.raw.instance);
        let devices = ami.ami_block_device_mappings.iter();
        let devices = devices.chain(&instance.launch_block_device_mappings);
        devices.filter_map(|device| given(&device.snapshot_id).map(str::to_owned)).collect()
    }

    /// The volumes that are made, for `amazon-ebsvolume`.
    pub(super) fn volumes(&self) -> Option<&[EbsVolume]> {
        match &self.product {
            Product::Volumes(volumes) => Some(volumes),
            Product::Image | Product::Surrogate(_) => None,
        }
    }

    /// The devices of `ebs_volumes` whose volumes are there after the build.
    pub(super) fn staying_devices(&self) -> BTreeSet<String> {
        let staying = self.volumes().unwrap_or_default().iter().filter(|volume| volume.stays());
        staying.filter_map(|volume| volume.device.device_name.clone()).collect()
    }

    /// Whether the instance is reached through a session of Systems Manager.
    pub(super) fn uses_session_manager(&self) -> bool {
        let interface = given(&self.raw.network.ssh_interface);
        interface == Some(SESSION_MANAGER)
            && !matches!(self.communication.kind, CommunicatorKind::None)
    }

    /// The settings of fast launching, where it is on and an AMI is created.
    pub(super) fn fast_launch(&self) -> Option<&FastLaunch> {
        let ami = &self.raw.ami;
        ami.fast_launch.as_ref().filter(|launch| launch.is_enabled() && !ami.skip_create_ami)
    }

    /// Whether a spot instance is run.
    pub(super) fn is_spot(&self) -> bool {
        checks::is_spot(&self.raw)
    }

    /// Whether the first image is only there to be copied.
    pub(super) fn is_intermediary(&self) -> bool {
        let ami = &self.raw.ami;
        ami.encrypt_boot == Some(true) || ami.skip_save_build_region
    }

    /// The regions that get a copy, each once, in the order of the template.
    pub(super) fn copies(&self, own: &str) -> Vec<String> {
        let ami = &self.raw.ami;
        let mut regions: Vec<String> = Vec::new();
        // An image that is only there to be copied is copied in its own region too, unless it is
        // not wanted there.
        if self.is_intermediary() && !ami.skip_save_build_region {
            regions.push(own.to_owned());
        }
        for region in &ami.ami_regions {
            if region != own && !regions.contains(region) {
                regions.push(region.clone());
            }
        }
        regions
    }

    /// The regions in which an AMI of the template's name is to be, each once.
    pub(super) fn regions(&self, own: &str) -> Vec<String> {
        let mut regions = self.copies(own);
        if !self.raw.ami.skip_save_build_region && !regions.iter().any(|region| region == own) {
            regions.insert(0, own.to_owned());
        }
        regions
    }

    /// The names that the build takes, of which an account has each once in a region, and what
    /// becomes of another build that takes one.
    fn claims(&self) -> Vec<String> {
        let (ami, access) = (&self.raw.ami, &self.raw.access);
        let region = given(&access.region).unwrap_or("the default region");
        // Other credentials may be those of another account.
        let role = access.assume_role.as_ref().and_then(|role| role.role_arn.as_ref());
        let ways = [
            ("profile", given(&access.profile)),
            ("role", role.map(String::as_str)),
            ("access key", given(&access.access_key)),
            ("endpoint", given(&access.custom_endpoint_ec2)),
        ];
        let ways = ways.into_iter().filter_map(|(what, name)| Some(format!("{what} {}", name?)));
        let ways: Vec<String> = ways.collect();
        let ways = if ways.is_empty() { String::new() } else { format!(" ({})", ways.join(", ")) };
        let makes_image = self.volumes().is_none() && !ami.skip_create_ami;
        let regions = if makes_image { self.regions(region) } else { Vec::new() };
        let images = regions.into_iter();
        let images = images.map(|region| {
            let image = format!("the AMI {} in {region}{ways}", ami.ami_name);
            format!("{image}: the one that comes later fails, or replaces the other's")
        });
        // The name of a key pair that the template does not name is a new one each time.
        let named = given(&self.raw.communicator.ssh.temporary_key_pair_name);
        let key = named.filter(|_| matches!(self.key, KeyChoice::Temporary(_)));
        // It is gone when its build has ended.
        let key = key.map(|name| {
            let pair = format!("the key pair {name} in {region}{ways}");
            format!("{pair}: the one that comes later fails if both run at the same time")
        });
        images.chain(key).collect()
    }

    /// The KMS key for the copy in `region`; none for the account's default.
    pub(super) fn kms_key(&self, region: &str, own: &str) -> Option<&str> {
        let ami = &self.raw.ami;
        if ami.encrypt_boot != Some(true) {
            return None;
        }
        let listed = ami.region_kms_key_ids.get(region).map(String::as_str);
        let key = if region == own { listed.or(given(&ami.kms_key_id)) } else { listed };
        key.filter(|key| !key.is_empty())
    }

    /// How long to wait for the password of a Windows instance.
    pub(super) fn password_timeout(&self) -> Duration {
        let given = self.raw.instance.windows_password_timeout.map(|timeout| timeout.0);
        given.filter(|timeout| !timeout.is_zero()).unwrap_or(Duration::from_secs(20 * 60))
    }
}

/// Packer's rule: a key pair is made unless the template says what else to log in with.
fn key_choice(raw: &Options, ctx: &PrepareContext) -> KeyChoice {
    let ssh = &raw.communicator.ssh;
    if let Some(path) = given(&ssh.ssh_private_key_file) {
        return KeyChoice::File(path.to_owned());
    }
    if ssh.ssh_agent_auth {
        return KeyChoice::Agent;
    }
    if let Some(name) = given(&ssh.temporary_key_pair_name) {
        return KeyChoice::Temporary(name.to_owned());
    }
    if given(&ssh.ssh_keypair_name).is_some() || given(&ssh.ssh_password).is_some() {
        return KeyChoice::None;
    }
    let unique = match ctx.run_uuid.as_str() {
        // What is only checked needs no name.
        "" => String::new(),
        _ => uuid::Uuid::new_v4().to_string(),
    };
    KeyChoice::Temporary(format!("packer_{unique}"))
}

fn sources(raw: &Options) -> Vec<Cidr> {
    let network = &raw.network;
    let given = &network.temporary_security_group_source_cidrs;
    if !given.is_empty() {
        return given.iter().filter_map(|text| Cidr::parse(text)).collect();
    }
    if network.temporary_security_group_source_public_ip {
        return Vec::new();
    }
    let all = match super::options::given(&network.ssh_interface) {
        Some("ipv6") => "::/0",
        _ => "0.0.0.0/0",
    };
    Cidr::parse(all).into_iter().collect()
}
