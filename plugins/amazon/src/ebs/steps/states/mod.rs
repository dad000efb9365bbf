//! The step cache of `amazon-ebs`: AMIs of the instance between its provisioners.
//!
//! The instance is stopped, an AMI is made of it, and it is started again for what runs next: the
//! build that keeps a state goes on from what a build that starts from it has, a machine that has
//! just booted from its disks. What only a running machine holds, such as processes, memory and
//! instance store volumes, is lost to both. A reboot by EC2 would leave the instance store to one of
//! them, and an image of the running machine all of these; and when EC2 has rebooted an instance,
//! nothing but the instance can tell.
//!
//! AMIs become whole while the build goes on. They are in the journal until they are, which the build
//! waits for at its end, when the instance is gone.

mod find;
mod keep;
mod line;

use std::sync::Arc;

use aws_sdk_ec2::types::Tag;
use ingot_communicator::Way;
use ingot_sdk::{Error, GeneratedData, Provisioning, Result, RunContext, Snapshots, StateKey};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{ImageCreation, State};
use crate::access::{Access, Ec2};
use crate::ebs::kept_images::Records;
use crate::ebs::options::given;
use crate::ebs::settings::Settings;
use crate::ebs::tags::tag;
use crate::failure::Failure;

pub(super) use find::{FindState, FoundState};
use keep::Keeper;
pub(super) use keep::keep_from_here;

/// The tag that names the AMI that a state came from.
const SOURCE_TAG: &str = "ingot-state-source";
/// The tags that hold the public key that the build let itself in with, in pieces: the beginning of
/// their names.
const LOGIN_TAG: &str = "ingot-state-login-";
/// How much of a key a tag holds, of whose value EC2 takes 256 characters.
const PIECE: usize = 200;

/// What is known of the states of one build's instance.
#[derive(Default)]
pub(super) struct States {
    /// The keys after the provisioners; none where nothing is cached.
    keys: Vec<StateKey>,
    /// The state that the build starts from.
    found: Option<FoundState>,
    /// The account that the states are in.
    account: String,
    /// Where it is written down which AMIs there are.
    records: Option<Records>,
    /// The AMIs that this build makes.
    images: Arc<Mutex<Vec<StateImage>>>,
    /// What keeps states, once the instance is reached.
    keeper: Option<Arc<Keeper>>,
}

/// An AMI that is to keep a state.
struct StateImage {
    key: StateKey,
    creation: ImageCreation,
    /// Whether EC2 had begun with all of its snapshots before the instance went on: another one is
    /// no state.
    exact: bool,
    /// When it was asked for.
    begun: Instant,
}

impl States {
    /// The state that the build starts from.
    pub(super) fn found(&self) -> Option<&FoundState> {
        self.found.as_ref()
    }

    /// See [`ingot_sdk::Provisioned::provisioning`].
    pub(super) fn provisioning(&self) -> Provisioning {
        let Some(keeper) = &self.keeper else { return Provisioning::default() };
        Provisioning {
            done: self.found.as_ref().map_or(0, FoundState::done),
            keys: self.keys.clone(),
            snapshots: Some(Arc::clone(keeper) as Arc<dyn Snapshots>),
            found_in: self
                .found
                .as_ref()
                .and_then(|found| Some(format!("the AMI {}", found.image_id()?))),
        }
    }

    /// Values for `build.*` that are other ones since the instance was started again.
    pub(super) fn moved(&self) -> GeneratedData {
        self.keeper.as_ref().map(|keeper| keeper.moved()).unwrap_or_default()
    }

    /// Starts the instance if it was stopped for a state.
    ///
    /// # Errors
    /// It cannot be started or reached.
    pub(super) async fn go_on(&self, ctx: &RunContext) -> Result<()> {
        match &self.keeper {
            Some(keeper) => keeper.go_on(ctx).await.map(drop),
            None => Ok(()),
        }
    }

    /// Waits until EC2 takes the AMI that is built after those of states.
    ///
    /// # Errors
    /// The build was cancelled.
    pub(super) async fn make_room(
        &self,
        ctx: &RunContext,
        access: &Access,
        ec2: &Ec2,
    ) -> Result<()> {
        keep::make_room(ctx, access, ec2, &mut self.images.lock().await).await
    }

    /// An error of connecting, with what it may come from where the instance started from a state.
    pub(super) fn blame(&self, error: Error) -> Error {
        let Some(id) = self.found.as_ref().and_then(FoundState::image_id) else { return error };
        error.further_hint(format!(
            "the instance started from the AMI {id}, a state of the step cache: if one of its \
             steps locks out whoever comes after a start, build with -no-cache, and give that step \
             `cache = false` in the companion file"
        ))
    }

    /// Closes the connection to the instance.
    pub(super) fn disconnect(&mut self) {
        self.keeper = None;
    }

    /// Whether a launch failed because the AMI of the state is gone: then it is not used.
    pub(super) fn give_up_if_gone(&mut self, ctx: &RunContext, failure: &Failure) -> bool {
        let gone = failure.code.as_deref().is_some_and(|code| code.starts_with("InvalidAMIID."));
        let given_up = gone && self.found.take().is_some();
        if given_up {
            ctx.ui.say(format!("The cached state is gone, so that all is done again: {failure}"));
        }
        given_up
    }
}

/// Why the states of an instance with these options are not kept.
fn cannot_be_held(settings: &Settings) -> Option<String> {
    let instance = &settings.raw.instance;
    let option = |set: bool, option: &str| set.then(|| format!("`{option}` is set"));
    let store = |name: &str| name.starts_with("ephemeral");
    let mut disks = instance.launch_block_device_mappings.iter();
    let stores = disks.any(|disk| given(&disk.virtual_name).is_some_and(store));
    let disks = &instance.launch_block_device_mappings;
    let encrypted = !disks.is_empty() && disks.iter().all(|disk| disk.encrypted == Some(true));
    let leaves_open = settings.raw.ami.encrypt_boot == Some(true) && !encrypted;
    let reasons = [
        settings.is_spot().then(|| "a spot instance cannot be stopped".to_owned()),
        (!matches!(settings.communication.way, Way::Ssh(_)))
            .then(|| "only an instance that is reached by SSH can go on with one".to_owned()),
        settings
            .uses_session_manager()
            .then(|| "it is reached through a session of Systems Manager".to_owned()),
        // It would run again, after provisioners that may have changed what it did.
        option(given(&instance.user_data).is_some(), "user_data"),
        option(given(&instance.user_data_file).is_some(), "user_data_file"),
        option(instance.disable_stop_instance, "disable_stop_instance"),
        stores.then(|| "an instance store volume cannot be part of one".to_owned()),
        leaves_open.then(|| {
            "with `encrypt_boot`, its AMI would keep what is to be encrypted as it is; encrypt the \
             disks in launch_block_device_mappings, too"
                .to_owned()
        }),
        given(&instance.instance_type)
            .is_some_and(|ty| ty.starts_with("mac"))
            .then(|| "a Mac takes an hour to start again".to_owned()),
    ];
    reasons.into_iter().flatten().next()
}

/// The tags that hold a public key, written as in `authorized_keys`.
fn login_tags(public: &str) -> Vec<Tag> {
    let key: Vec<char> = public.split(' ').nth(1).unwrap_or_default().chars().collect();
    let pieces = key.chunks(PIECE).enumerate();
    let piece = |(number, piece): (usize, &[char])| {
        tag(&format!("{LOGIN_TAG}{number}"), &piece.iter().collect::<String>())
    };
    pieces.map(piece).collect()
}

/// The public key that tags hold, written as in `authorized_keys` but without its kind.
fn login_of(tags: &[Tag]) -> Option<String> {
    let piece = |number: usize| {
        let name = format!("{LOGIN_TAG}{number}");
        tags.iter().find(|tag| tag.key() == Some(&name)).and_then(|tag| tag.value())
    };
    let key: String = (0..).map_while(piece).collect();
    (!key.is_empty()).then(|| format!("key {key}"))
}

#[cfg(test)]
mod tests {
    use ingot_sdk::ConfigErrors;

    use super::*;
    use crate::ebs::options::BlockDevice;

    #[test]
    fn options_whose_states_are_not_kept_say_why() {
        let why = |change: fn(&mut Settings)| {
            let (mut settings, mut errors) = (Settings::default(), ConfigErrors::default());
            settings.raw.communicator.ssh.ssh_username = Some("user".to_owned());
            let communicator = settings.raw.communicator.clone();
            settings.communication = communicator.prepare_with(&mut Vec::new(), &mut errors);
            assert!(errors.is_empty(), "{errors:?}");
            change(&mut settings);
            cannot_be_held(&settings).unwrap_or_default()
        };
        assert_eq!(why(|_| ()), "");
        assert_eq!(why(|it| it.communication.way = Way::None).split(' ').next(), Some("only"));
        let data = |it: &mut Settings| it.raw.instance.user_data = Some("#!/bin/sh".to_owned());
        assert_eq!(why(data), "`user_data` is set");
        assert!(why(|it| it.raw.spot.spot_price = Some("auto".to_owned())).contains("spot"));
        let session = |it: &mut Settings| {
            it.raw.network.ssh_interface = Some("session_manager".to_owned());
        };
        assert!(why(session).contains("Systems Manager"));
        let store = |it: &mut Settings| {
            let name = Some("ephemeral0".to_owned());
            let disk = BlockDevice { virtual_name: name, ..BlockDevice::default() };
            it.raw.instance.launch_block_device_mappings.push(disk);
        };
        assert!(why(store).contains("instance store"));
        let encrypted = |it: &mut Settings| it.raw.ami.encrypt_boot = Some(true);
        assert!(why(encrypted).contains("`encrypt_boot`"));
        let all_encrypted = |it: &mut Settings| {
            it.raw.ami.encrypt_boot = Some(true);
            let disk = BlockDevice { encrypted: Some(true), ..BlockDevice::default() };
            it.raw.instance.launch_block_device_mappings.push(disk);
        };
        assert_eq!(why(all_encrypted), "");
        let mac = |it: &mut Settings| it.raw.instance.instance_type = Some("mac2.metal".to_owned());
        assert!(why(mac).contains("Mac"));
    }

    #[test]
    fn a_long_key_is_in_several_tags() {
        let key: String = (0..500).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
        let tags = login_tags(&format!("ssh-rsa {key} packer_1"));
        assert_eq!(tags.len(), 3);
        assert!(tags.iter().all(|tag| tag.value().is_some_and(|value| value.len() <= 256)));
        assert_eq!(login_of(&tags), Some(format!("key {key}")));
        assert_eq!(login_of(&[]), None);
    }
}
