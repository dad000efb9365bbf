//! What takes memory or keeps a connection busy is done by few at once.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

use super::lineage_tests::first_session;
use super::*;
use crate::api::*;
use crate::client::Registry as _;
use crate::store::{BucketFilter, BucketOrder, VersionFilter, VersionOrder};

/// What takes no longer has not waited.
const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn searches_and_lists_each_wait_for_their_turn() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, session) = first_session(dir.path()).await;
    let bucket = CreateBucketBody { name: "b".into(), ..CreateBucketBody::default() };
    session.create_bucket(&bucket).await.expect("a bucket");
    let version = CreateVersionBody { fingerprint: "f".into(), ..CreateVersionBody::default() };
    let id = session.create_version("b", &version).await.expect("a version").id;
    let session = &session;
    let (buckets, versions) = (BucketFilter::default(), VersionFilter::default());
    let page = Page::default();
    let family = LineageQuery { depth: 0, parents: true, children: true, out_of_date: false };
    // What each of them says does not matter here.
    macro_rules! asks {
        ($($ask:expr),* $(,)?) => {
            [$((
                stringify!($ask),
                Box::pin(async { $ask.await.map(drop) }) as Pin<Box<dyn Future<Output = Result<()>>>>,
            )),*]
        };
    }
    let lists = || {
        asks![
            session.get_version("b", "f"),
            session.get_version_by_id("b", &id),
            session.version_list("b", &versions, VersionOrder::Newest, &page),
            session.version_choices("b", &versions, 10),
            session.list_buckets(&page),
        ]
    };
    let searches = || {
        asks![
            session.overview(&buckets, BucketOrder::Name, &page),
            session.platforms(),
            session.descendants("b", "f", 10),
            session.rollbacks_of("b", "f", 10),
            session.previous_of_all("b"),
            session.lineage("b", family),
            session.relations_of("b", "f", None),
        ]
    };
    let mut turns = Vec::new();
    while let Ok(turn) = timeout(SOON, store.search_turn()).await {
        turns.push(turn.expect("a turn"));
    }
    for (name, ask) in searches() {
        let waits = timeout(SOON, ask).await;
        assert!(waits.is_err(), "{name} does not wait: {waits:?}");
    }
    // What builds ask for does not wait for searches.
    for (name, ask) in lists() {
        all_goes_well(name, ask).await;
    }
    // One is enough for each: who has one does not wait for another.
    turns.truncate(1);
    for (name, ask) in searches() {
        all_goes_well(name, ask).await;
    }
    turns.clear();
    while let Ok(turn) = timeout(SOON, store.list_turn()).await {
        turns.push(turn.expect("a turn"));
    }
    for (name, ask) in lists() {
        let waits = timeout(SOON, ask).await;
        assert!(waits.is_err(), "{name} does not wait: {waits:?}");
    }
    turns.truncate(turns.len() - 1);
    for (name, ask) in lists() {
        all_goes_well(name, ask).await;
    }
    store.close().await;
}

async fn all_goes_well(name: &str, ask: impl Future<Output = Result<()>>) {
    let done = timeout(Duration::from_secs(10), ask).await;
    done.unwrap_or_else(|_| panic!("{name} waits")).unwrap_or_else(|it| panic!("{name}: {it}"));
}
