//! What revoking a version takes, of which many others were built.

use super::lineage_tests::{first_session, publish};
use super::revocation::settle;
use crate::api::*;
use crate::client::Registry as _;
use crate::store::RevocationRow;

/// All buckets of the family are locked meanwhile.
#[tokio::test]
async fn it_takes_as_many_statements_for_many_descendants_as_for_few() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, session) = first_session(dir.path()).await;
    let mut counts = Vec::new();
    for children in [2, 12] {
        let (base, app) = (format!("base-{children}"), format!("app-{children}"));
        for name in [&base, &app] {
            let body = CreateBucketBody { name: name.clone(), ..CreateBucketBody::default() };
            session.create_bucket(&body).await.expect("a bucket");
        }
        let parent = publish(&session, &base, "one", ("", "")).await.id;
        let mut newest = String::new();
        for number in 0..children {
            newest = publish(&session, &app, &format!("c{number}"), (&parent, "")).await.id;
        }
        let mut tx = store.begin().await.expect("a transaction");
        let row = tx.version_by_id(&parent).await.expect("a row").expect("the version");
        for at in [tx.now, Timestamp::NONE] {
            if at.is_set() {
                let revocation =
                    RevocationRow { at, descendants: true, ..RevocationRow::default() };
                tx.put_revocation(&parent, &revocation).await.expect("it is written");
            } else {
                tx.drop_revocation(&parent).await.expect("it is removed");
            }
            let before = tx.statements;
            settle(&mut tx, &parent, &row.bucket_id, "a").await.expect("it is settled");
            counts.push(tx.statements - before);
            let child = tx.version_by_id(&newest).await.expect("a row").expect("the child");
            assert_eq!(child.revocation.done, at.is_set());
        }
        tx.commit().await.expect("it is committed");
    }
    assert_eq!(counts[..2], counts[2..], "{counts:?}");
    store.close().await;
}
