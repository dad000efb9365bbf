//! A family that is larger than a page shows.

use std::path::Path;

use super::*;
use crate::api::*;
use crate::client::Registry as _;
use crate::store::{Location, Role, Store};

/// Publishes a version with one build, from a parent: a version's and a channel's id.
pub(super) async fn publish(
    session: &Session,
    bucket: &str,
    print: &str,
    parent: (&str, &str),
) -> Version {
    let body = CreateVersionBody { fingerprint: print.into(), ..CreateVersionBody::default() };
    session.create_version(bucket, &body).await.expect("a version");
    let artifact =
        ArtifactCreateBody { external_identifier: "sha256:1".into(), region: "docker".into() };
    let body = CreateBuildBody {
        component_type: "docker.a".into(),
        status: BuildStatus::Done,
        platform: "docker".into(),
        artifacts: vec![artifact],
        parent_version_id: parent.0.into(),
        parent_channel_id: parent.1.into(),
        ..CreateBuildBody::default()
    };
    session.create_build(bucket, print, &body).await.expect("a build");
    session.get_version(bucket, print).await.expect("the version")
}

/// A registry in the directory, as its first principal sees it.
pub(super) async fn first_session(directory: &Path) -> (Store, Session) {
    let file = Location::Sqlite(directory.join("r.db"));
    let store = Store::open(&file, 4).await.expect("a store");
    let administration = Administration::new(store.clone());
    let (project, _) = administration.bootstrap().await.expect("a first run");
    let (id, name, address) = ("a".to_owned(), "a".to_owned(), String::new());
    let caller = Caller { id, name, role: Role::Admin, address };
    let session = Session::new(store.clone(), project, caller, String::new());
    (store, session)
}

#[tokio::test]
async fn what_is_out_of_date_is_shown_before_the_rest() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, session) = first_session(dir.path()).await;
    let bucket = async |name: &str| {
        let body = CreateBucketBody { name: name.into(), ..CreateBucketBody::default() };
        session.create_bucket(&body).await.expect("a bucket");
    };
    let channel = async |name: &str| {
        let body = CreateChannelBody {
            name: name.into(),
            version_fingerprint: "one".into(),
            ..CreateChannelBody::default()
        };
        session.create_channel("base", &body).await.expect("a channel").id
    };
    bucket("base").await;
    let base = publish(&session, "base", "one", ("", "")).await.id;
    let (slow, fast) = (channel("slow").await, channel("fast").await);
    for number in 0..64 {
        let name = format!("child-{number}");
        bucket(&name).await;
        publish(&session, &name, "c", (&base, &slow)).await;
    }
    bucket("last").await;
    publish(&session, "last", "c", (&base, &fast)).await;
    publish(&session, "base", "two", ("", "")).await;
    let body = UpdateChannelBody {
        update_mask: "versionFingerprint".into(),
        version_fingerprint: "two".into(),
        ..UpdateChannelBody::default()
    };
    session.update_channel("base", "fast", &body).await.expect("it moves");
    for out_of_date in [false, true] {
        let query = LineageQuery { depth: 1, parents: true, children: true, out_of_date };
        let family = session.lineage("base", query).await.expect("a family");
        assert!(family.more, "there is no room for all");
        let behind = family.kin.iter().filter(|it| it.status == AncestryStatus::OutOfDate);
        let behind: Vec<&str> = behind.map(|it| family.members[it.child].bucket.as_str()).collect();
        assert_eq!(behind, ["last"]);
        assert_eq!(family.members.len(), if out_of_date { 2 } else { 60 });
    }
    store.close().await;
}
