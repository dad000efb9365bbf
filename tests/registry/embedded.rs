//! The registry in a file, without a server.

use std::time::Duration;

use ingot_registry::api::*;
use ingot_registry::client::Registry;
use ingot_registry::local::LocalRegistry;
use tokio::task::JoinSet;

async fn publish(registry: &LocalRegistry, bucket: &str, print: &str) -> Version {
    let body = CreateVersionBody { fingerprint: print.into(), ..Default::default() };
    registry.create_version(bucket, &body).await.expect("a version");
    let body = CreateBuildBody { component_type: "docker.a".into(), ..Default::default() };
    let build = registry.create_build(bucket, print, &body).await.expect("a build");
    let artifact = ArtifactCreateBody {
        external_identifier: format!("sha256:{print}"),
        region: "docker".into(),
    };
    let body = UpdateBuildBody {
        status: BuildStatus::Done,
        platform: "docker".into(),
        artifacts: vec![artifact],
        ..Default::default()
    };
    registry.update_build(bucket, print, &build.id, &body).await.expect("it is done");
    registry.get_version(bucket, print).await.expect("the version")
}

/// As many processes do: each opens the file for itself, the first ones at once.
#[tokio::test(flavor = "multi_thread")]
async fn many_use_one_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("deep/registry.db");
    let mut users = JoinSet::new();
    for user in 0..6 {
        let path = path.clone();
        users.spawn(async move {
            let registry = LocalRegistry::open(&path).await.expect("it opens");
            let body = CreateBucketBody { name: "web".into(), ..Default::default() };
            match registry.create_bucket(&body).await {
                Ok(_) => {}
                Err(error) => assert_eq!(error.code, Code::AlreadyExists, "{error}"),
            }
            for number in 0..5 {
                publish(&registry, "web", &format!("u{user}-{number}")).await;
            }
        });
    }
    while let Some(user) = users.join_next().await {
        user.expect("a user ends well");
    }
    let registry = LocalRegistry::open(&path).await.expect("it opens");
    let list = registry.list_versions("web", &Page::default()).await.expect("a list");
    let mut names: Vec<String> = list.versions.into_iter().map(|version| version.name).collect();
    names.sort_by_key(|name| name[1..].parse::<u32>().expect("a number"));
    let wanted: Vec<String> = (1..=30).map(|number| format!("v{number}")).collect();
    assert_eq!(names, wanted);
}

/// Nobody is there to revoke at the time; whoever looks next sees it done.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_revocation_is_seen() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("registry.db");
    let registry = LocalRegistry::open(&path).await.expect("it opens");
    let body = CreateBucketBody { name: "web".into(), ..Default::default() };
    registry.create_bucket(&body).await.expect("a bucket");
    publish(&registry, "web", "one").await;
    publish(&registry, "web", "two").await;
    let body = UpdateVersionBody { revoke_in: "1s".into(), ..Default::default() };
    let version = registry.update_version("web", "two", &body).await.expect("it is scheduled");
    assert_eq!(version.status, VersionStatus::RevocationScheduled);
    drop(registry);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let registry = LocalRegistry::open(&path).await.expect("it opens");
    let latest = registry.get_channel("web", LATEST_CHANNEL).await.expect("the channel");
    assert_eq!(latest.version.expect("a version").fingerprint, "one");
    let missing = registry.get_version("web", "none").await.expect_err("there is none");
    assert_eq!(missing.code, Code::NotFound);
}
