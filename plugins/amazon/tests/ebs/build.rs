//! A build from its beginning to its end.

use ingot_sdk::Error;
use serde_json::json;

use crate::account::{client, image_names, images, instances, snapshots, temporaries};
use crate::harness::{Cloud, SOURCE};
use crate::server::REGION;

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

    let made = images(&cloud.moto, REGION).await;
    let [image] = &made[..] else { panic!("{made:?}") };
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
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert_eq!(image_names(&cloud.moto, REGION).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_told_before_anything_is_made() {
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
