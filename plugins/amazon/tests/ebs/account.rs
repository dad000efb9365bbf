//! What an account holds.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Image, Instance};
use ingot_amazon::access::{Access, AccessOptions, Ec2};
use ingot_sdk::Ui;
use serde_json::Value;

use ingot_test_support::moto::{Moto, REGION};

/// The options that lead to `moto`: by a file with a profile, as `custom_endpoint_ec2` is for one
/// region only, and the tests of one process have several servers.
pub(crate) fn access_options(moto: &Moto, region: &str) -> Value {
    let name = format!("ingot-moto-{}-{}", std::process::id(), moto.port);
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let text = format!(
        "[builder]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n\
         aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\nendpoint_url = {}\n",
        moto.endpoint()
    );
    if std::fs::read_to_string(&file).ok().as_ref() != Some(&text) {
        std::fs::write(&file, text).unwrap();
    }
    serde_json::json!({
        "shared_credentials_file": file,
        "profile": "builder",
        "region": region,
        "aws_polling": { "delay_seconds": 1, "max_attempts": 60 },
    })
}

/// A client to look with.
pub(crate) async fn client(moto: &Moto, region: &str) -> Ec2 {
    let options: AccessOptions = serde_json::from_value(access_options(moto, region)).unwrap();
    let ui = Ui::new(std::sync::Arc::new(ingot_sdk::testing::RecordedOutput::default()));
    Access::open(&options, &ui).await.unwrap().client(region)
}

/// What is there only while something is built, in words; nothing after a build.
pub(crate) async fn temporaries(moto: &Moto) -> Vec<String> {
    let ec2 = client(moto, REGION).await;
    let mut found = Vec::new();
    for instance in instances(&ec2).await {
        let state = instance.state().unwrap().name().unwrap().as_str();
        if state != "terminated" {
            found.push(format!("instance {state}"));
        }
    }
    let keys = ec2.describe_key_pairs().send().await.unwrap();
    found
        .extend(keys.key_pairs().iter().map(|key| format!("key pair {}", key.key_name().unwrap())));
    let groups = ec2.describe_security_groups().send().await.unwrap();
    let groups = groups.security_groups().iter().map(|group| group.group_name().unwrap());
    found.extend(groups.filter(|&name| name != "default").map(|name| format!("group {name}")));
    let volumes = ec2.describe_volumes().send().await.unwrap();
    found
        .extend(volumes.volumes().iter().map(|one| format!("volume {}", one.volume_id().unwrap())));
    let templates = ec2.describe_launch_templates().send().await.unwrap();
    let templates = templates.launch_templates().iter();
    found.extend(templates.map(|one| format!("template {}", one.launch_template_name().unwrap())));
    found
}

/// All instances, also those that are terminated.
pub(crate) async fn instances(ec2: &Ec2) -> Vec<Instance> {
    let answer = ec2.describe_instances().send().await.unwrap();
    let reservations = answer.reservations.unwrap_or_default().into_iter();
    reservations.flat_map(|one| one.instances.unwrap_or_default()).collect()
}

/// The account's own AMIs in a region.
pub(crate) async fn images(moto: &Moto, region: &str) -> Vec<Image> {
    let ec2 = client(moto, region).await;
    let answer = ec2.describe_images().owners("self").send().await.unwrap();
    answer.images.unwrap_or_default()
}

/// The names of the account's own AMIs in a region.
pub(crate) async fn image_names(moto: &Moto, region: &str) -> Vec<String> {
    images(moto, region).await.into_iter().map(|image| image.name.unwrap()).collect()
}

/// The ids of the snapshots in a region that were made for the account's own AMIs; those of the
/// AMIs that moto comes with are not.
pub(crate) async fn snapshots(moto: &Moto, region: &str) -> Vec<String> {
    let ec2 = client(moto, region).await;
    let answer = ec2.describe_snapshots().owner_ids("self").send().await.unwrap();
    let mut known = BTreeMap::new();
    for snapshot in answer.snapshots() {
        known.insert(snapshot.snapshot_id().unwrap().to_owned(), ());
    }
    let all = ec2.describe_images().send().await.unwrap();
    for image in all.images() {
        if image.owner_id() != Some("123456789012") {
            for device in image.block_device_mappings() {
                known.remove(device.ebs().unwrap().snapshot_id().unwrap_or_default());
            }
        }
    }
    known.into_keys().collect()
}
