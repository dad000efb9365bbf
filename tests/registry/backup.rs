//! Backups: made while the server is written to, whole, and good for either database.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::faults::{names, write};
use ingot_test_support::disk::Disk;
use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::Server;
use ingot_test_support::{Run, eventually_async, ingot_with, require};

fn run(dir: &Path, command: &str, file: &Path, database: &str) -> Run {
    let file = file.to_str().expect("a plain name");
    let args = ["registry", command, file, "-database-url", database];
    ingot_with(dir, &args, &[("INGOT_DATA_DIR", dir.to_str().expect("a plain name"))])
}

#[tokio::test(flavor = "multi_thread")]
async fn from_sqlite_to_postgres_and_back() {
    let postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let sqlite = at("one.db").to_str().expect("a plain name").to_owned();
    let other = at("two.db").to_str().expect("a plain name").to_owned();

    let server = Server::start(&at("data"), &["-rate-limit=0", "-database-url", &sqlite]);
    let admin = server.admin().await;
    admin.put("/buckets", json!({ "name": "base", "labels": { "a": "b" } })).await;
    let parent = admin.publish("base", "p1", None).await;
    admin.publish("base", "p2", None).await;
    admin.put("/buckets", json!({ "name": "child" })).await;
    let parent = parent["id"].as_str().expect("an id");
    admin.publish("child", "c1", Some((parent, ""))).await;
    admin
        .post("/buckets/base/channels", json!({ "name": "prod", "version_fingerprint": "p2" }))
        .await;
    // What was inherited from it refers to another row of its table.
    admin.patch("/buckets/base/versions/p1", json!({ "revoke_in": "0s" })).await;

    let stop = Arc::new(AtomicBool::new(false));
    let writers = write(&admin, "busy", &stop);
    let before = eventually_async("buckets are written", async || {
        let names = names(&admin).await;
        (names.iter().filter(|name| name.starts_with("busy")).count() > 3).then_some(names)
    })
    .await;
    let backup = at("backup.db");
    let created = tokio::task::block_in_place(|| run(dir.path(), "backup", &backup, &sqlite));
    stop.store(true, Ordering::Relaxed);
    writers.join_all().await;
    assert_eq!(created.code, Some(0), "{}{}", created.stdout, created.stderr);

    // Into PostgreSQL, out of it again, and into SQLite.
    let url = postgres.url();
    let second = at("second.db");
    for (command, file, database) in [
        ("restore-backup", &backup, &url),
        ("backup", &second, &url),
        ("restore-backup", &second, &other),
    ] {
        let done = tokio::task::block_in_place(|| run(dir.path(), command, file, database));
        assert_eq!(done.code, Some(0), "{command}: {}{}", done.stdout, done.stderr);
    }
    let (id, secret) = (&server.env["HCP_CLIENT_ID"], &server.env["HCP_CLIENT_SECRET"]);
    for database in [&url, &other] {
        let restored = Server::start(&at("data"), &["-rate-limit=0", "-database-url", database]);
        let there = restored.sign_in(id, secret).await;
        let known = names(&there).await;
        for name in &before {
            assert!(known.contains(name), "{name} was acknowledged before the backup was made");
        }
        for path in ["/buckets/base/versions", "/buckets/child/versions", "/buckets/base/channels"]
        {
            assert_eq!(there.get(path).await, admin.get(path).await, "{path}");
        }
        there.publish("base", "p3", None).await;
    }

    // What must not be done.
    let garbage = at("garbage.db");
    std::fs::write(&garbage, "this is no database").expect("it is written");
    let new = at("new.db").to_str().expect("a plain name").to_owned();
    for (command, file, database, why) in [
        ("backup", &backup, &sqlite, "exists already"),
        ("restore-backup", &backup, &url, "not empty"),
        ("restore-backup", &garbage, &new, "not a backup"),
        ("restore-backup", &at("none.db"), &new, "none.db"),
        ("restore-backup", &at("one.db"), &new, "in use"),
    ] {
        let done = tokio::task::block_in_place(|| run(dir.path(), command, file, database));
        assert_eq!(done.code, Some(1), "{command} {why}: {}", done.stdout);
        assert!(done.stderr.contains(why), "{command} {why}: {}", done.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restoring_takes_no_room_for_temporary_files() {
    let disk = require!(Disk::mount(1));
    disk.fill();
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name).to_str().expect("a plain name").to_owned();
    let sqlite = at("one.db");
    let server = Server::start(&dir.path().join("data"), &["-database-url", &sqlite]);
    server.admin().await.put("/buckets", json!({ "name": "base" })).await;
    let backup = dir.path().join("backup.db");
    let created = tokio::task::block_in_place(|| run(dir.path(), "backup", &backup, &sqlite));
    assert_eq!(created.code, Some(0), "{}{}", created.stdout, created.stderr);

    let (file, other) = (at("backup.db"), at("two.db"));
    let args = ["registry", "restore-backup", &file, "-database-url", &other];
    let env = [("TMPDIR", disk.path().to_str().expect("a plain name"))];
    let restored = tokio::task::block_in_place(|| ingot_with(dir.path(), &args, &env));
    assert_eq!(restored.code, Some(0), "{}{}", restored.stdout, restored.stderr);
    // Nothing was created beside the backup, either.
    assert!(!dir.path().join("backup.db-wal").exists());
}
