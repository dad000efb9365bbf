//! A build from its beginning to its end.

use ingot_sdk::{Build, Error};
use serde_json::json;

use crate::account::{client, image_names, images, instances, snapshots, temporaries};
use crate::harness::{Cloud, SOURCE, builder};
use ingot_test_support::moto::REGION;

#[tokio::test(flavor = "multi_thread")]
async fn makes_an_ami_and_leaves_nothing_else() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.hook.commands.lock().unwrap().push("echo provisioned by $USER".into());
    cloud.record();
    let artifact = cloud
        .artifact(json!({
            "source_ami": null,
            "source_ami_filter": {
                "filters": {
                    "name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*",
                    "root-device-type": "ebs",
                    "virtualization-type": "hvm",
                },
                "owners": ["099720109477"],
                "most_recent": true,
            },
            "ami_description": "from {{ .SourceAMIName }}",
            "run_tags": { "Name": "a build" },
            "skip_ami_run_tags": true,
            "tags": { "Base": "{{ .SourceAMI }}", "Region": "{{ .BuildRegion }}" },
            "tag": [{ "key": "Owner", "value": "{{ .SourceAMIOwner }}" }],
            "snapshot_tag": [{ "key": "Base", "value": "snapshot" }],
        }))
        .await;
    assert_eq!(*cloud.hook.output.lock().unwrap(), "provisioned by builder\n");
    let data = cloud.hook.data.lock().unwrap().clone();
    assert_eq!((&data["SourceAMI"], &data["Host"]), (&json!(SOURCE), &json!("127.0.0.1")));

    let created = images(&cloud.moto, REGION).await;
    let [image] = &created[..] else { panic!("{created:?}") };
    let id = image.image_id().unwrap();
    assert_eq!(artifact.id(), format!("{REGION}:{id}"));
    assert_eq!(artifact.description(), format!("AMIs were created:\n{REGION}: {id}\n"));
    assert_eq!(artifact.builder_id(), "mitchellh.amazonebs");
    let registered = artifact.images();
    assert_eq!((registered[0].provider.as_str(), registered[0].id.as_str()), ("aws", id));
    assert_eq!(registered[0].source_id.as_deref(), Some(SOURCE));

    assert_eq!(image.name(), Some("web-1"));
    // moto does not keep descriptions.
    let text = "Description.Value=from+ubuntu%2Fimages%2Fhvm-ssd%2Fubuntu-xenial-16.04";
    let requests = cloud.recorded();
    assert!(requests.iter().any(|body| body.replace("%20", "+").contains(text)), "{requests:?}");
    let tags = |tags: &[aws_sdk_ec2::types::Tag]| {
        let mut tags: Vec<String> = tags
            .iter()
            .map(|tag| format!("{}={}", tag.key().unwrap(), tag.value().unwrap()))
            .collect();
        tags.sort();
        tags
    };
    let owner = "Owner=099720109477";
    assert_eq!(tags(image.tags()), [&format!("Base={SOURCE}"), owner, "Region=us-east-1"]);
    let snapshot = snapshots(&cloud.moto, REGION).await;
    let ec2 = client(&cloud.moto, REGION).await;
    let answer = ec2.describe_snapshots().snapshot_ids(&snapshot[0]).send().await.unwrap();
    assert_eq!(tags(answer.snapshots()[0].tags()), ["Base=snapshot", owner, "Region=us-east-1"]);

    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert!(cloud.written.open().is_empty(), "{:?}", cloud.written.open());
    let of_instance = tags(instances(&ec2).await[0].tags());
    assert!(of_instance.contains(&"Name=a build".to_owned()), "{of_instance:?}");
    assert!(of_instance.iter().any(|tag| tag.starts_with("ingot-run=")), "{of_instance:?}");
    for line in [
        "Prevalidating AMI Name: web-1",
        "Found Image ID: ami-785db401",
        "Creating temporary keypair: packer_",
        "Creating temporary security group for this instance: packer_",
        "Authorizing access to port ",
        "Launching a source AWS instance...",
        "Adding tag: \"Name\": \"a build\"",
        "Waiting for instance (i-",
        "Stopping the source instance...",
        "Creating AMI web-1 from instance i-",
        "Waiting for AMI to become ready...",
        "Modifying: description",
        "Tagging snapshot: snap-",
        "Terminating the source AWS instance...",
        "Deleting temporary security group...",
        "Deleting temporary keypair...",
    ] {
        assert!(cloud.says(line), "{line:?} is not in {:#?}", cloud.said.lines());
    }
    let secret = cloud.said.lines().iter().any(|line| line.contains("PRIVATE KEY"));
    assert!(!secret);

    // A second build of that name is refused before anything is made.
    let error = cloud.build(json!({})).await.err().unwrap();
    assert_eq!(error.to_string(), format!("the AMI name web-1 is taken by {id}"));
    assert!(error.advice().unwrap().contains("force_deregister"));
    // With force it takes its place.
    let again = json!({ "force_deregister": true, "force_delete_snapshot": true });
    let second = cloud.artifact(again).await;
    assert_eq!(image_names(&cloud.moto, REGION).await, ["web-1"]);
    assert_ne!(second.id(), artifact.id());
    assert_eq!(snapshots(&cloud.moto, REGION).await.len(), 1);
    second.destroy().await.unwrap();
    assert_eq!(image_names(&cloud.moto, REGION).await, [""; 0]);
    assert_eq!(snapshots(&cloud.moto, REGION).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_leaves_nothing() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.hook.commands.lock().unwrap().push("exit 3".into());
    let error = cloud.build(json!({})).await.err().unwrap();
    assert_eq!(error.to_string(), "the script failed");
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert_eq!(image_names(&cloud.moto, REGION).await, [""; 0]);
    assert!(cloud.written.open().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_ami_there_is_no_artifact() {
    let Some(cloud) = Cloud::start() else { return };
    let options = json!({ "skip_create_ami": true, "temporary_key_pair_type": "ed25519" });
    assert!(cloud.build(options).await.unwrap().is_none());
    assert!(cloud.says("Skipping AMI creation..."));
    // It is terminated at once.
    assert!(!cloud.says("Stopping the source instance..."));
    assert!(cloud.says("Terminating the source AWS instance..."));
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert_eq!(image_names(&cloud.moto, REGION).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_reported_before_anything_is_created() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.record();
    for (more, message) in [
        (json!({ "source_ami": "ami-00000000000000000" }), "ami-00000000000000000"),
        (json!({ "ami_regions": ["eu-nowhere-1"] }), "does not know eu-nowhere-1"),
        (json!({ "vpc_id": "vpc-12345678" }), "looking for the VPC vpc-12345678"),
        (json!({ "subnet_filter": { "filters": { "tag:a": "b" } } }), "no subnet matches"),
        (json!({ "tags": { "a": "{{ .SourceAMITags.None }}" } }), "tags: "),
    ] {
        let error: Error = cloud.build(more).await.err().unwrap();
        assert!(error.to_string().contains(message), "{error}");
    }
    let created = cloud.recorded().into_iter().find(|body| body.contains("Action=Create"));
    assert_eq!(created, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_in_any_region_is_reported_before_anything_is_created() {
    let Some(cloud) = Cloud::start() else { return };
    // The account's own image of that name, in a region that the AMI is to be copied to.
    let ec2 = client(&cloud.moto, "eu-west-1").await;
    let run = ec2.run_instances().image_id(SOURCE).min_count(1).max_count(1);
    let run = run.send().await.unwrap();
    let instance = run.instances()[0].instance_id().unwrap();
    let taken = ec2.create_image().name("web-1").instance_id(instance).send().await.unwrap();
    let taken = taken.image_id().unwrap();
    cloud.record();
    for more in [
        json!({ "ami_regions": ["eu-west-1"] }),
        json!({ "ami_regions": ["ap-northeast-1", "eu-west-1"], "encrypt_boot": true }),
        json!({ "ami_regions": ["eu-west-1"], "skip_save_build_region": true }),
    ] {
        let error = cloud.build(more.clone()).await.err().unwrap_or_else(|| panic!("{more}"));
        let text = format!("the AMI name web-1 is taken by {taken} in eu-west-1");
        assert_eq!(error.to_string(), text, "{more}");
        assert!(error.advice().unwrap().contains("force_deregister"));
    }
    let created = cloud.recorded().into_iter().find(|body| body.contains("Action=Create"));
    assert_eq!(created, None);
    // Only there, the name is free.
    let more = json!({ "ami_regions": ["ap-northeast-1"], "skip_save_build_region": true });
    cloud.artifact(more).await;
    assert_eq!(image_names(&cloud.moto, "ap-northeast-1").await, ["web-1"]);
    // With force it makes room, in all regions that it goes to and in no other.
    let force = json!({ "ami_regions": ["eu-west-1"], "force_deregister": true });
    cloud.artifact(force).await;
    assert!(cloud.says(&format!("Deregistered AMI web-1, id: {taken}")));
    for region in [REGION, "eu-west-1", "ap-northeast-1"] {
        assert_eq!(image_names(&cloud.moto, region).await, ["web-1"], "{region}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_shared_or_kept_is_reported_before_anything_is_created() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.record();
    // At `validate` nobody knew which region the profile has.
    let mut options = cloud.options(json!({
        "encrypt_boot": true,
        "kms_key_id": "alias/a",
        "ami_regions": ["eu-west-1"],
        "ami_users": ["111111111111"],
    }));
    let file = cloud.sshd.text("profile-with-region");
    let text = std::fs::read_to_string(options["shared_credentials_file"].as_str().unwrap());
    std::fs::write(&file, format!("{}region = {REGION}\n", text.unwrap())).unwrap();
    options["shared_credentials_file"] = json!(file);
    options["region"] = json!("");
    let ctx = cloud.context();
    let error = builder(options, &ctx).build(&ctx).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "what is encrypted with the account's default key cannot be shared, and eu-west-1 has no \
         other key"
    );
    assert!(error.advice().unwrap().contains("region_kms_key_ids"));
    // Nor did anybody know that the region which it is copied to is the build's own.
    let more = json!({ "ami_regions": [REGION], "skip_save_build_region": true });
    let mut options = cloud.options(more);
    options["shared_credentials_file"] = json!(file);
    options["region"] = json!("");
    let error = builder(options, &ctx).build(&ctx).await.err().unwrap();
    assert!(error.to_string().starts_with("no AMI would be left"), "{error}");
    assert_eq!(cloud.recorded().iter().filter(|body| body.contains("Action=")).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_that_stay_are_listed() {
    let Some(cloud) = Cloud::start() else { return };
    let disk = |keep: Option<bool>| {
        json!({ "launch_block_device_mappings": [
            { "device_name": "/dev/sda1", "volume_size": 9, "delete_on_termination": keep },
        ] })
    };
    cloud.artifact(disk(Some(false))).await;
    let ec2 = client(&cloud.moto, REGION).await;
    let volumes = ec2.describe_volumes().send().await.unwrap();
    let [volume] = volumes.volumes() else { panic!("{volumes:?}") };
    let line = format!(
        "Volumes that stay, as launch_block_device_mappings does not delete them on termination: \
         {} (/dev/sda1)",
        volume.volume_id().unwrap()
    );
    assert!(cloud.says(&line), "{:#?}", cloud.said.lines());
    cloud.moto.reset();
    let said = cloud.said.lines().len();
    cloud.artifact(disk(Some(true))).await;
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    let lines = cloud.said.lines();
    assert!(!lines[said..].iter().any(|line| line.starts_with("Volumes that stay")), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_does_not_come_names_the_option_that_waits_longer() {
    let Some(cloud) = Cloud::start() else { return };
    // moto has no password for what is not Windows.
    let options = json!({
        "communicator": "winrm", "winrm_username": "Administrator", "ssh_username": null,
        "windows_password_timeout": "1s",
    });
    let error = cloud.build(options).await.err().unwrap();
    assert!(error.to_string().starts_with("the password of Windows is not ready after 1s"));
    assert!(error.advice().unwrap().contains("windows_password_timeout"), "{error}");
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
}
