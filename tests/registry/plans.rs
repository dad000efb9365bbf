//! How PostgreSQL reads what a list needs: its plans depend on what it knows of the data.

use serde_json::json;

use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::Server;
use ingot_test_support::{eventually_async, require};

/// How many versions were built from one, with three builds each.
const CHILDREN: u32 = 1000;

/// Where few versions are parents, as one base image that is built now and then, PostgreSQL takes every
/// version for one.
#[tokio::test(flavor = "multi_thread")]
async fn builds_are_not_all_read_for_each_version_of_a_list() {
    let postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["-rate-limit=0", "-database-url", &postgres.url()];
    let mut server = Server::start(dir.path(), &args);
    let admin = server.admin().await;
    for name in ["base", "app"] {
        admin.put("/buckets", json!({ "name": name })).await;
    }
    admin.publish("base", "one", None).await;
    let versions = format!(
        "INSERT INTO versions (id, bucket_id, fingerprint, number, template_type, author, revoked, \
         revocation_message, revocation_author, revocation_type, revoke_rollback, \
         revoke_descendants, created_at, updated_at) SELECT 'V' || x, b.id, 'f' || x, x, \
         v.template_type, v.author, 0, '', '', v.revocation_type, 0, 0, v.created_at, v.updated_at \
         FROM generate_series(1, {CHILDREN}) x CROSS JOIN versions v \
         JOIN buckets b ON b.name = 'app' WHERE v.fingerprint = 'one'"
    );
    let builds = format!(
        "INSERT INTO builds (id, version_id, component_type, status, run_uuid, platform, labels, \
         metadata, source_external_identifier, parent_version_id, created_at, updated_at) \
         SELECT 'B' || x || '-' || y, 'V' || x, 'docker.' || y, 'BUILD_DONE', '', 'docker', '{{}}', \
         '{{}}', '', v.id, v.created_at, v.updated_at FROM generate_series(1, {CHILDREN}) x \
         CROSS JOIN generate_series(1, 3) y CROSS JOIN versions v WHERE v.fingerprint = 'one'"
    );
    for sql in [versions.as_str(), builds.as_str(), "ANALYZE"] {
        postgres.query(sql);
    }

    let list = admin.get("/buckets/app/versions").await;
    let list = list["versions"].as_array().expect("a list");
    assert!(list.len() > 100, "{}", list.len());
    assert!(list.iter().all(|version| version["has_descendants"] == false), "{list:?}");
    let base = admin.get("/buckets/base/versions/one").await["version"].clone();
    assert_eq!(base["has_descendants"], true, "{base}");

    // What a connection has counted is there for others when it has ended.
    tokio::task::block_in_place(|| server.stop());
    let others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                  AND pid <> pg_backend_pid()";
    eventually_async("the server's connections end", async || postgres.query(others) == "0").await;
    let read = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'builds'";
    let read: u32 = postgres.query(read).parse().expect("a number");
    // A few times all of them, as for what the server does by itself.
    assert!(read < 20 * 3 * CHILDREN, "{read} builds were read");
}
