//! Where the AMI goes and who may use it.

use serde_json::json;

use crate::account::{client, image_names, images, snapshots, temporaries};
use crate::harness::Cloud;
use ingot_test_support::moto::REGION;

#[tokio::test(flavor = "multi_thread")]
async fn is_copied_encrypted_and_shared() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.record();
    let key = "alias/images";
    let artifact = cloud
        .artifact(json!({
            "ami_regions": ["eu-west-1", "ap-northeast-1", REGION],
            "encrypt_boot": true,
            "kms_key_id": key,
            "region_kms_key_ids": { "eu-west-1": "alias/eu", "ap-northeast-1": "alias/ap", REGION: key },
            "ami_users": ["111111111111", "222222222222"],
            "snapshot_users": ["111111111111"],
            "imds_support": "v2.0",
            "tags": { "Copied": "everywhere" },
        }))
        .await;
    let regions = ["ap-northeast-1", "eu-west-1", REGION];
    let mut ids = Vec::new();
    for region in regions {
        let created = images(&cloud.moto, region).await;
        let [image] = &created[..] else { panic!("{region}: {created:?}") };
        let id = image.image_id().unwrap();
        assert_eq!(image.name(), Some("web-1"));
        assert_eq!(image.tags()[0].value(), Some("everywhere"));
        ids.push(format!("{region}:{id}"));
        let ec2 = client(&cloud.moto, region).await;
        let permission = aws_sdk_ec2::types::ImageAttributeName::LaunchPermission;
        let answer = ec2.describe_image_attribute().image_id(id).attribute(permission);
        let answer = answer.send().await.unwrap();
        let mut users: Vec<&str> =
            answer.launch_permissions().iter().filter_map(|one| one.user_id()).collect();
        users.sort_unstable();
        assert_eq!(users, ["111111111111", "222222222222"]);
        // The first image, which was there to be copied only, went with its snapshot.
        let snapshot = snapshots(&cloud.moto, region).await;
        assert_eq!(snapshot.len(), 1, "{region}");
        // moto does not keep what this asks for.
        let shared = |body: &String| {
            body.contains("Action=ModifySnapshotAttribute")
                && body.contains(&snapshot[0])
                && body.contains("CreateVolumePermission.Add.1.UserId=111111111111")
        };
        assert!(cloud.recorded().iter().any(shared), "{region}");
    }
    assert_eq!(artifact.id(), ids.join(","));
    assert_eq!(artifact.images().len(), 3);
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert!(cloud.written.open().is_empty());

    let copies: Vec<String> =
        cloud.recorded().into_iter().filter(|body| body.contains("Action=CopyImage")).collect();
    assert_eq!(copies.len(), 3);
    // Copies have their tags from the call that makes them. (moto does not keep those.)
    for copy in &copies {
        let text = copy.replace("%3A", ":");
        for part in [
            "TagSpecification.1.ResourceType=image",
            "TagSpecification.1.Tag.1.Key=Copied",
            "TagSpecification.1.Tag.1.Value=everywhere",
            "TagSpecification.2.ResourceType=snapshot",
            "TagSpecification.2.Tag.1.Key=Copied",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    for key in ["images", "eu", "ap"] {
        let key = format!("KmsKeyId=alias%2F{key}");
        let is_right = |copy: &String| copy.contains(&key) && copy.contains("Encrypted=true");
        assert_eq!(copies.iter().filter(|copy| is_right(copy)).count(), 1, "{copies:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn can_be_kept_elsewhere_only() {
    let Some(cloud) = Cloud::start() else { return };
    let artifact = cloud
        .artifact(json!({ "ami_regions": ["eu-west-1"], "skip_save_build_region": true }))
        .await;
    assert_eq!(image_names(&cloud.moto, REGION).await, [""; 0]);
    assert_eq!(image_names(&cloud.moto, "eu-west-1").await, ["web-1"]);
    assert!(artifact.id().starts_with("eu-west-1:ami-") && !artifact.id().contains(','));
    assert_eq!(snapshots(&cloud.moto, REGION).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_build_that_fails_go_too() {
    let Some(cloud) = Cloud::start() else { return };
    // moto has no such product code, as AWS would not; it refuses what it does not know.
    let options = json!({ "ami_regions": ["eu-west-1"], "ami_users": ["not an account"] });
    cloud.build(options).await.err().expect("nobody has that id");
    for region in [REGION, "eu-west-1"] {
        assert_eq!(image_names(&cloud.moto, region).await, [""; 0]);
        assert_eq!(snapshots(&cloud.moto, region).await, [""; 0]);
    }
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert!(cloud.written.open().is_empty());
}
