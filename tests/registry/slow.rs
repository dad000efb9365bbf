//! Requests whose time is over: their work ends in the database, too, and others go on.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};

use ingot_test_support::registry_server::Server;

/// How many versions are built from each other, one from the one before. What all of them inherit
/// from all that are above them is looked at when the first is revoked.
const GENERATIONS: u32 = 6000;

#[tokio::test(flavor = "multi_thread")]
async fn work_ends_with_its_requests_time_on_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0", "-request-timeout=2"]);
    let admin = server.admin().await;
    admin.put("/buckets", json!({ "name": "long" })).await;
    admin.publish("long", "g0", None).await;
    let file = dir.path().join("registry-server.db");
    let url = format!("sqlite://{}", file.display());
    let mut database = sqlx::SqliteConnection::connect(&url).await.expect("the database");
    let generations = format!(
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {GENERATIONS})"
    );
    for sql in [
        format!("CREATE TEMP TABLE line AS {generations} SELECT x FROM n"),
        "INSERT INTO versions (id, bucket_id, fingerprint, number, template_type, author, revoked, \
         revocation_message, revocation_author, revocation_type, revoke_rollback, \
         revoke_descendants, created_at, updated_at) SELECT 'v' || x, v.bucket_id, 'g' || x, x + 1, \
         v.template_type, v.author, 0, '', '', v.revocation_type, 0, 0, v.created_at, v.updated_at \
         FROM line CROSS JOIN versions v WHERE v.fingerprint = 'g0'"
            .to_owned(),
        "INSERT INTO builds (id, version_id, component_type, status, run_uuid, platform, labels, \
         metadata, source_external_identifier, parent_version_id, created_at, updated_at) \
         SELECT 'b' || x, 'v' || x, 'docker.a', 'BUILD_DONE', '', 'docker', '{}', '{}', '', \
         CASE x WHEN 1 THEN v.id ELSE 'v' || (x - 1) END, v.created_at, v.updated_at \
         FROM line CROSS JOIN versions v WHERE v.fingerprint = 'g0'"
            .to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database).await.expect("it is added");
    }
    database.close().await.expect("it closes");

    // Others read meanwhile.
    let reader = tokio::spawn({
        let admin = admin.clone();
        async move {
            let mut longest = Duration::ZERO;
            for _ in 0..20 {
                let start = Instant::now();
                admin.get("/buckets/long/channels/latest").await;
                longest = longest.max(start.elapsed());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            longest
        }
    });
    let start = Instant::now();
    let body = json!({ "revoke_in": "0s" });
    let path = "/buckets/long/versions/g0";
    let (status, answer) = admin.call(Method::PATCH, path, body).await;
    let took = start.elapsed();
    assert_eq!(status, 503, "it was done in {took:?}: {answer}");
    assert!(answer["message"].as_str().is_some_and(|it| it.contains("too long")), "{answer}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    // The next one writes at once, and not when that work would have ended.
    let at_once = Duration::from_secs(10);
    let start = Instant::now();
    admin.put("/buckets", json!({ "name": "next" })).await;
    assert!(start.elapsed() < at_once, "{:?}", start.elapsed());
    let longest = reader.await.expect("it reads");
    assert!(longest < at_once, "a read took {longest:?}");
    // And nothing of it was done.
    let version = admin.get(path).await["version"].clone();
    assert_eq!(version["status"], "VERSION_ACTIVE");
    assert_eq!(version["revoke_at"], Value::Null);
}
