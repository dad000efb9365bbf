//! Spot instances.

use serde_json::json;

use crate::account::{client, image_names, instances, temporaries};
use crate::harness::Cloud;
use ingot_test_support::moto::REGION;

#[tokio::test(flavor = "multi_thread")]
async fn builds_on_a_spot_instance() {
    let Some(cloud) = Cloud::start() else { return };
    cloud
        .artifact(json!({
            "instance_type": null,
            "spot_price": "auto",
            "spot_instance_types": ["t3.small", "t3.micro"],
            "spot_allocation_strategy": "lowest-price",
            "fleet_tags": { "For": "{{ .SourceAMI }}" },
            "run_tags": { "Name": "a spot build" },
            "skip_ami_run_tags": true,
        }))
        .await;
    assert!(cloud.says("Created Spot Fleet launch template: lt-"));
    assert!(!cloud.says("Stopping the source instance..."));
    assert_eq!(image_names(&cloud.moto, REGION).await, ["web-1"]);
    assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
    assert!(cloud.written.open().is_empty(), "{:?}", cloud.written.open());
    let ec2 = client(&cloud.moto, REGION).await;
    let all = instances(&ec2).await;
    assert_eq!(all.len(), 1);
    assert!(all[0].instance_type().unwrap().as_str().starts_with("t3."));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_zone_is_one_that_offers_the_types() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.record();
    // By AWS's offers, which moto has, t2.micro is in all zones and a1.medium in three of six.
    cloud
        .artifact(json!({
            "instance_type": null,
            "spot_price": "auto",
            "spot_instance_types": ["a1.medium", "t2.micro"],
            "associate_public_ip_address": true,
        }))
        .await;
    cloud
        .artifact(json!({
            "ami_name": "web-2",
            "instance_type": null,
            "spot_price": "auto",
            "spot_instance_types": ["a1.medium"],
            "subnet_filter": { "filters": { "default-for-az": "true" }, "most_free": true },
        }))
        .await;
    let requests = cloud.recorded();
    let zones: Vec<&str> = requests
        .iter()
        .filter(|body| body.contains("Action=CreateLaunchTemplate&"))
        .filter_map(|body| body.split("Placement.AvailabilityZone=").nth(1)?.split('&').next())
        .collect();
    assert_eq!(zones.len(), 2, "{requests:?}");
    for zone in zones {
        assert!(["us-east-1a", "us-east-1b", "us-east-1c"].contains(&zone), "{zone}");
    }
    // No zone has it.
    let error = cloud
        .build(json!({
            "ami_name": "web-3",
            "instance_type": "x9.huge",
            "subnet_filter": { "filters": { "default-for-az": "true" }, "random": true },
        }))
        .await;
    let error = error.err().unwrap().to_string();
    assert!(error.contains("none is in a zone that has instances of the type x9.huge"), "{error}");
}
