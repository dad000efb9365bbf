//! `amazon-ebsvolume`.

use ingot_amazon::EbsVolumeBuilder;
use ingot_sdk::{Component, PrepareContext, testing};
use serde_json::{Value, json};

use crate::account::{client, snapshots, temporaries};
use crate::harness::{Cloud, SOURCE};
use ingot_test_support::moto::REGION;

fn volumes() -> Value {
    json!({
        "run_volume_tags": { "Temporary": "yes" },
        "ebs_volumes": [
            { "device_name": "/dev/xvdf", "volume_size": 3, "volume_type": "gp3",
              "tags": { "Base": "{{ .SourceAMI }}" },
              "tag": [{ "key": "Name", "value": "data" }] },
            { "device_name": "/dev/xvdg", "volume_size": 1, "delete_on_termination": true,
              "snapshot_volume": true, "snapshot_description": "of {{ .SourceAMI }}",
              "snapshot_tags": { "Kind": "seed" }, "snapshot_users": ["123456789012"] },
        ],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_and_snapshots_stay_and_nothing_else() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.hook.commands.lock().unwrap().push("echo filled".into());
    let before = snapshots(&cloud.moto, REGION).await;
    let artifact = cloud.build_with(&EbsVolumeBuilder, volumes(), &["ami_name"]).await.unwrap();
    assert_eq!(*cloud.hook.output.lock().unwrap(), "filled\n");
    assert_eq!(artifact.builder_id(), "mitchellh.amazon.ebsvolume");

    let ec2 = client(&cloud.moto, REGION).await;
    let answer = ec2.describe_volumes().send().await.unwrap();
    let [volume] = answer.volumes() else { panic!("{answer:?}") };
    let id = volume.volume_id().unwrap();
    let tags = |tags: &[aws_sdk_ec2::types::Tag]| {
        let mut tags: Vec<String> = tags
            .iter()
            .map(|tag| format!("{}={}", tag.key().unwrap(), tag.value().unwrap()))
            .collect();
        tags.sort();
        tags
    };
    // Neither run_volume_tags nor the marks of the build.
    assert_eq!(tags(volume.tags()), [format!("Base={SOURCE}"), "Name=data".to_owned()]);
    assert_eq!(volume.size(), Some(3));
    let mut created = snapshots(&cloud.moto, REGION).await;
    created.retain(|id| !before.contains(id));
    let [snapshot] = &created[..] else { panic!("{created:?}") };
    let answer = ec2.describe_snapshots().snapshot_ids(snapshot).send().await.unwrap();
    let reported = &answer.snapshots()[0];
    assert_eq!(reported.description(), Some(format!("of {SOURCE}").as_str()));
    assert_eq!(tags(reported.tags()), ["Kind=seed"]);
    let mut ids = [format!("{REGION}:{id}"), format!("{REGION}:{snapshot}")];
    ids.sort();
    assert_eq!(artifact.id(), ids.join(","));
    let images = artifact.images();
    assert_eq!((images.len(), images[0].source_id.as_deref()), (2, Some(SOURCE)));
    assert_eq!(temporaries(&cloud.moto).await, [format!("volume {id}")]);
    assert!(cloud.written.open().is_empty(), "{:?}", cloud.written.open());
    assert!(cloud.says("Created Volumes: EBS Volumes were created:"), "{:?}", cloud.said.lines());
    assert!(!cloud.says("Volumes that stay"), "{:?}", cloud.said.lines());

    artifact.destroy().await.unwrap();
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert_eq!(snapshots(&cloud.moto, REGION).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_leaves_no_volume() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.hook.commands.lock().unwrap().push("exit 1".into());
    let before = snapshots(&cloud.moto, REGION).await;
    let result = cloud.build_with(&EbsVolumeBuilder, volumes(), &["ami_name"]).await;
    assert!(result.is_err_and(|error| error.to_string().contains("the script failed")));
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert_eq!(snapshots(&cloud.moto, REGION).await, before);
    assert!(cloud.written.open().is_empty(), "{:?}", cloud.written.open());
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_that_fail_are_reported_before_anything_is_created() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.record();
    let text = "{{ .SourceAMITags.None }}";
    for (option, value) in [
        ("tags", json!({ "a": text })),
        ("snapshot_tags", json!({ "a": text })),
        ("snapshot_description", json!(text)),
    ] {
        let mut options = volumes();
        options["ebs_volumes"][1][option] = value;
        let result = cloud.build_with(&EbsVolumeBuilder, options, &["ami_name"]).await;
        let error = result.err().unwrap_or_else(|| panic!("{option} is rendered"));
        assert!(error.to_string().starts_with(&format!("{option}: ")), "{error}");
    }
    let created = cloud.recorded().into_iter().find(|body| body.contains("Action=Create"));
    assert_eq!(created, None);
}

#[test]
fn mistakes_are_named() {
    let check = |volume: Value| {
        let options = json!({
            "source_ami": "ami-1", "instance_type": "t3.micro", "region": "us-east-1",
            "ssh_username": "ubuntu", "ebs_volumes": [volume],
        });
        testing::prepare(&EbsVolumeBuilder, options, &PrepareContext::default())
    };
    let fine = check(json!({ "device_name": "/dev/xvdf", "volume_size": 1 }));
    // That the volume stays is what it is there for.
    assert_eq!(fine.unwrap_or_else(|errors| panic!("{errors:?}")).warnings, []);
    for (volume, message) in [
        (json!({ "volume_size": 1 }), "every disk needs a `device_name`"),
        (
            json!({ "device_name": "/dev/xvdf", "snapshot_description": "x" }),
            "has a snapshot_description but no snapshot",
        ),
        (json!({ "device_name": "/dev/xvdf", "tags": { "a": "{{ .Nothing }}" } }), "/dev/xvdf: "),
    ] {
        let errors = check(volume).err().unwrap();
        assert!(errors.0.iter().any(|error| error.message.contains(message)), "{errors:?}");
    }
    let schema = Component::schema(&EbsVolumeBuilder);
    let has = |name: &str| schema.get(name).is_some();
    assert!(has("ebs_volumes") && !has("ami_name") && !has("launch_block_device_mappings"));
}
