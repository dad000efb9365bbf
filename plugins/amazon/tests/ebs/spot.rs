//! Spot instances.

use serde_json::json;

use crate::account::{client, image_names, instances, temporaries};
use crate::harness::Cloud;
use crate::server::REGION;

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
