//! `amazon-ebssurrogate`.

use ingot_amazon::EbsSurrogateBuilder;
use ingot_sdk::{Component, Error, PrepareContext, testing};
use serde_json::{Value, json};

use crate::account::{client, images, snapshots, temporaries};
use crate::harness::{Cloud, SOURCE};
use ingot_test_support::moto::REGION;

/// Options for an AMI whose root is the disk `/dev/xvdf` of the instance.
fn disks() -> Value {
    json!({
        "ami_virtualization_type": "hvm",
        "launch_block_device_mappings": [
            { "device_name": "/dev/xvdf", "volume_size": 8, "volume_type": "gp3",
              "delete_on_termination": true },
            { "device_name": "/dev/xvdg", "volume_size": 1, "delete_on_termination": true },
            { "device_name": "/dev/xvdh", "volume_size": 1, "delete_on_termination": true,
              "omit_from_artifact": true },
        ],
        "ami_block_device_mappings": [{ "device_name": "/dev/xvdb", "virtual_name": "ephemeral0" }],
        "ami_root_device": { "source_device_name": "/dev/xvdf", "device_name": "/dev/xvda" },
    })
}

fn with(more: Value) -> Value {
    let mut options = disks();
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ami_is_created_of_snapshots_of_the_disks() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.hook.commands.lock().unwrap().push("echo provisioned".into());
    cloud.record();
    let options = with(json!({
        "ami_architecture": "arm64",
        "boot_mode": "uefi",
        "tpm_support": "v2.0",
        "ena_support": true,
        "snapshot_description": "of a disk",
        "snapshot_tags": { "Base": "{{ .SourceAMI }}" },
        "tags": { "Name": "surrogate" },
    }));
    let artifact = cloud.build_with(&EbsSurrogateBuilder, options, &[]).await.unwrap();
    assert_eq!(artifact.builder_id(), "mitchellh.amazon.ebssurrogate");
    let created = images(&cloud.moto, REGION).await;
    let [image] = &created[..] else { panic!("{created:?}") };
    assert_eq!(artifact.id(), format!("{REGION}:{}", image.image_id().unwrap()));
    assert_eq!(*cloud.hook.output.lock().unwrap(), "provisioned\n");

    // moto stores little of the request, so the request is compared.
    let taken = cloud.calls("CreateSnapshot");
    assert_eq!(taken.len(), 2, "{taken:?}");
    for call in &taken {
        assert_eq!(call["Description"], "of a disk");
        assert_eq!(call["TagSpecification.1.Tag.1.Value"], SOURCE);
    }
    let calls = cloud.calls("RegisterImage");
    let [call] = &calls[..] else { panic!("{calls:?}") };
    for (name, value) in [
        ("Name", "web-1"),
        ("Architecture", "arm64"),
        ("RootDeviceName", "/dev/xvda"),
        ("VirtualizationType", "hvm"),
        ("BootMode", "uefi"),
        ("TpmSupport", "v2.0"),
        ("EnaSupport", "true"),
        ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
        ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
        ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
        ("BlockDeviceMapping.2.DeviceName", "/dev/xvdb"),
        ("BlockDeviceMapping.2.VirtualName", "ephemeral0"),
        ("BlockDeviceMapping.3.DeviceName", "/dev/xvdg"),
    ] {
        assert_eq!(call.get(name).map(String::as_str), Some(value), "{name}: {call:?}");
    }
    let own: Vec<&String> = ["1", "3"]
        .iter()
        .map(|index| &call[&format!("BlockDeviceMapping.{index}.Ebs.SnapshotId")])
        .collect();
    let there = snapshots(&cloud.moto, REGION).await;
    assert!(own[0] != own[1] && own.iter().all(|id| there.contains(id)), "{own:?} {there:?}");
    assert!(!call.contains_key("BlockDeviceMapping.4.DeviceName"), "{call:?}");
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert!(cloud.written.open().is_empty(), "{:?}", cloud.written.open());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ami_of_the_instance_has_its_root_exchanged() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.record();
    let options = with(json!({ "use_create_image": true }));
    cloud.build_with(&EbsSurrogateBuilder, options, &[]).await.unwrap();
    assert_eq!(images(&cloud.moto, REGION).await.len(), 1);
    assert!(cloud.calls("RegisterImage").is_empty() && cloud.calls("CreateSnapshot").is_empty());
    let attached = cloud.calls("AttachVolume");
    assert_eq!(attached[0]["Device"], "/dev/xvda", "{attached:?}");
    let detached: Vec<String> =
        cloud.calls("DetachVolume").into_iter().map(|call| call["VolumeId"].clone()).collect();
    assert!(detached.contains(&attached[0]["VolumeId"]) && detached.len() >= 2, "{detached:?}");
    let call = &cloud.calls("CreateImage")[0];
    let names: Vec<&str> = call
        .iter()
        .filter(|(name, _)| name.ends_with(".DeviceName"))
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(names, ["/dev/xvda", "/dev/xvdb", "/dev/xvdg"]);
    // What was detached is gone, too.
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert!(cloud.written.open().is_empty(), "{:?}", cloud.written.open());
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_have_the_tags_of_the_ami_and_not_those_of_the_run() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.record();
    let options = with(json!({
        "ami_regions": ["eu-west-1"],
        "run_tags": { "Name": "Packer builder" },
        "tags": { "Of": "the AMI" },
    }));
    cloud.build_with(&EbsSurrogateBuilder, options, &[]).await.unwrap();
    let calls = cloud.calls("CopyImage");
    let [call] = &calls[..] else { panic!("{calls:?}") };
    let values = call.iter().filter(|(name, _)| name.ends_with(".Value"));
    let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
    // Those of the AMI and of its snapshots.
    assert_eq!(values, ["the AMI", "the AMI"], "{call:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_leaves_no_snapshots() {
    let Some(cloud) = Cloud::start() else { return };
    let before = snapshots(&cloud.moto, REGION).await;
    // What is wrong with an account is found out once the AMI is made.
    let options = with(json!({ "ami_regions": ["eu-west-1"], "ami_users": ["not an account"] }));
    let result = cloud.build_with(&EbsSurrogateBuilder, options, &[]).await;
    let error: Error = result.err().expect("moto refuses such an account");
    assert!(cloud.written.kinds.lock().unwrap().contains(&"amazon-snapshot".to_owned()), "{error}");
    assert!(images(&cloud.moto, REGION).await.is_empty(), "{error}");
    assert_eq!(snapshots(&cloud.moto, REGION).await, before);
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert!(cloud.written.open().is_empty(), "{:?}", cloud.written.open());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_build_left_is_removed() {
    let Some(cloud) = Cloud::start() else { return };
    let before = snapshots(&cloud.moto, REGION).await;
    let ec2 = client(&cloud.moto, REGION).await;
    let volume = ec2.create_volume().availability_zone("us-east-1a").size(1).send().await.unwrap();
    let id = volume.volume_id().unwrap().to_owned();
    ec2.create_snapshot().volume_id(&id).send().await.unwrap();
    // As it is written down before the call.
    let options = with(json!({}));
    cloud.build_with(&EbsSurrogateBuilder, options, &[]).await.unwrap();
    let kept = snapshots(&cloud.moto, REGION).await;
    let resource = ingot_sdk::Resource::new("amazon-snapshot", &id).with("region", REGION);
    let access = crate::account::access_options(&cloud.moto, REGION);
    let resource = ["profile", "shared_credentials_file"]
        .iter()
        .fold(resource, |resource, name| resource.with(name, access[*name].as_str().unwrap()));
    cloud.written.clear();
    ingot_sdk::Journal::record(&*cloud.written, &resource).unwrap();
    cloud.reclaim().await;
    // Only that of the volume; those of the finished AMI stay.
    assert_eq!(snapshots(&cloud.moto, REGION).await.len(), kept.len() - 1);
    assert!(kept.len() > before.len());
}

#[test]
fn mistakes_are_named() {
    let check = |more: Value| {
        let mut options = json!({
            "ami_name": "web-1", "source_ami": "ami-1", "instance_type": "t3.micro",
            "region": "us-east-1", "ssh_username": "ubuntu",
        });
        let own = with(more).as_object().unwrap().clone();
        for (name, value) in own.into_iter().filter(|(_, value)| !value.is_null()) {
            options[name] = value;
        }
        testing::prepare(&EbsSurrogateBuilder, options, &PrepareContext::default())
    };
    assert!(check(json!({})).is_ok());
    // An AMI that is registered has enhanced networking from there, whatever the instance.
    for (own, expected) in [
        (json!({ "spot_price": "auto", "ena_support": true, "sriov_support": true }), None),
        (
            json!({ "spot_price": "auto", "ena_support": true, "use_create_image": true }),
            Some(
                "`ena_support` has no effect with a spot_price: spot instances cannot be modified",
            ),
        ),
    ] {
        let spot = check(own).unwrap_or_else(|errors| panic!("{errors:?}")).warnings;
        let spot: Vec<&str> = spot.iter().map(|warning| warning.message.as_str()).collect();
        assert_eq!(spot, Vec::from_iter(expected));
    }
    for (more, option, message) in [
        (json!({ "ami_virtualization_type": "" }), "", "`ami_virtualization_type` is missing"),
        (json!({ "ami_root_device": {} }), "ami_root_device", "`source_device_name` is missing"),
        (
            json!({ "ami_root_device": {
                "source_device_name": "/dev/xvdz", "device_name": "/dev/xvda"
            } }),
            "ami_root_device",
            "no disk /dev/xvdz",
        ),
        (
            json!({ "ami_root_device": {
                "source_device_name": "/dev/xvdh", "device_name": "/dev/xvda"
            } }),
            "launch_block_device_mappings",
            "cannot be left out",
        ),
        (json!({ "ami_architecture": "mips" }), "ami_architecture", "`mips`"),
        (json!({ "boot_mode": "bios" }), "boot_mode", "`bios`"),
        (json!({ "tpm_support": "v1.2" }), "tpm_support", "`v1.2`"),
        (json!({ "uefi_data": "AAAA" }), "uefi_data", "no variables of UEFI"),
    ] {
        let errors = check(more.clone()).err().unwrap_or_else(|| panic!("{more} is accepted"));
        let found = errors
            .0
            .iter()
            .any(|error| error.message.contains(message) && format!("{error:?}").contains(option));
        assert!(found, "{more}: {errors:?}");
    }
    let warned = check(json!({
        "use_create_image": true, "boot_mode": "uefi",
        "ami_root_device": {
            "source_device_name": "/dev/xvdf", "device_name": "/dev/xvda", "volume_size": 9,
        },
    }));
    let warnings = warned.unwrap_or_else(|errors| panic!("{errors:?}")).warnings;
    let warnings: Vec<String> = warnings.into_iter().map(|warning| warning.message).collect();
    let warnings = warnings.join("\n");
    assert!(warnings.contains("`boot_mode` has no effect"), "{warnings}");
    assert!(warnings.contains("`volume_size` has no effect"), "{warnings}");
    let schema = Component::schema(&EbsSurrogateBuilder);
    let has = |name: &str| schema.get(name).is_some();
    assert!(has("ami_root_device") && !has("fast_launch") && !has("skip_create_ami"));
}
