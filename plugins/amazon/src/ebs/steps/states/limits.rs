//! Which instances have no states that can be kept.

use ingot_communicator::CommunicatorKind;

use crate::ebs::options::given;
use crate::ebs::settings::Settings;

/// Why the states of an instance with these options are not kept.
pub(super) fn cannot_be_held(settings: &Settings) -> Option<String> {
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
        (!matches!(settings.communication.kind, CommunicatorKind::Ssh(_)))
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
        assert_eq!(
            why(|it| it.communication.kind = CommunicatorKind::None).split(' ').next(),
            Some("only")
        );
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
}
