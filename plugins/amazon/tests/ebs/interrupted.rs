//! Builds that are cancelled or killed.

use std::time::Duration;

use ingot_sdk::Build;
use serde_json::json;

use crate::account::{image_names, temporaries};
use crate::harness::{Cloud, builder};
use ingot_test_support::moto::REGION;

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_cancelled_leaves_nothing() {
    let Some(cloud) = Cloud::start() else { return };
    // At any time, also while a call is under way.
    for millis in [0, 150, 300, 500, 800, 1200, 1700, 2500] {
        let ctx = cloud.context();
        let builder = builder(cloud.options(json!({ "ami_name": format!("web-{millis}") })), &ctx);
        let cancel = ctx.cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            cancel.cancel();
        });
        if let Err(error) = builder.build(&ctx).await {
            assert!(error.is_cancelled(), "{error}");
            assert_eq!(image_names(&cloud.moto, REGION).await, [""; 0], "after {millis} ms");
        } else {
            cloud.moto.reset();
        }
        assert_eq!(temporaries(&cloud.moto).await, [""; 0], "after {millis} ms");
        assert!(cloud.written.open().is_empty(), "after {millis} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_build_leaves_is_in_the_journal() {
    let Some(cloud) = Cloud::start() else { return };
    // The journal names the file and the profile; the keys are where they were.
    for spot in [false, true] {
        cloud.hook.commands.lock().unwrap().push("sleep 60".into());
        let ctx = cloud.context();
        let more = json!({ "spot_price": spot.then_some("auto") });
        let builder = builder(cloud.options(more), &ctx);
        let build = tokio::spawn(async move { builder.build(&ctx).await.map(drop) });
        cloud.hook.begun.notified().await;
        // Without a chance to clean up, as by SIGKILL.
        build.abort();
        let _ = build.await;
        let left = temporaries(&cloud.moto).await;
        assert!(left.len() >= 3, "{left:?}");
        cloud.reclaim().await;
        assert_eq!(temporaries(&cloud.moto).await, [""; 0]);
        // A resource that is gone already is not an error.
        cloud.reclaim().await;
        cloud.written.clear();
    }
}
