//! A database that an older Ingot created, with what was in it: a newer one brings it up to date and
//! answers of all of it.

use ingot_test_support::{ingot_with, require};
use serde_json::json;
use sqlx::{AnyConnection, Connection as _};

use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::Server;

/// The tables as they were before revocations had one of their own.
const OLD: [&str; 3] = [
    include_str!("../../src/registry/src/store/migrations/0001_registry.sql"),
    include_str!("../../src/registry/src/store/migrations/0002_run_tasks.sql"),
    include_str!("../../src/registry/src/store/migrations/0003_web.sql"),
];

/// A parent with a version that is scheduled to be revoked, and a child built from it whose version
/// inherits a revocation: `base` v1 (old), v2 and `web` v1.
const CONTENTS: &str = "
CREATE TABLE migrations (step BIGINT NOT NULL PRIMARY KEY, at BIGINT NOT NULL);
INSERT INTO migrations (step, at) VALUES (1, 1), (2, 1), (3, 1);
INSERT INTO organizations VALUES ('0b0f6b4e-0000-4000-8000-000000000001', 'default', 1);
INSERT INTO projects VALUES ('0b0f6b4e-0000-4000-8000-000000000002',
  '0b0f6b4e-0000-4000-8000-000000000001', 'default', '01AAAAAAAAAAAAAAAAAAAAAAAA', 1, 1, 1);
INSERT INTO buckets VALUES
  ('01B0000000000000000000BASE', '0b0f6b4e-0000-4000-8000-000000000002', 'base', 'Base', '{}', 1, 1),
  ('01B00000000000000000000WEB', '0b0f6b4e-0000-4000-8000-000000000002', 'web', '', '{}', 1, 1);
INSERT INTO versions VALUES
  ('01V00000000000000000BASEV1', '01B0000000000000000000BASE', 'f1', 1, 'HCL2', 'ann', 1000000, 1,
   'CVE-1', 'ann', 'MANUAL', NULL, 0, 1, 1, 1),
  ('01V00000000000000000BASEV2', '01B0000000000000000000BASE', 'f2', 2, 'HCL2', 'ann',
   4102444800000000, 0, 'planned', 'ann', 'MANUAL', NULL, 0, 0, 2, 2),
  ('01V000000000000000000WEBV1', '01B00000000000000000000WEB', 'f3', 1, 'HCL2', 'bob', 1000000, 1,
   'CVE-1', 'ann', 'INHERITED', '01V00000000000000000BASEV1', 0, 1, 3, 3);
INSERT INTO channels VALUES
  ('01C000000000000000000BASEL', '01B0000000000000000000BASE', 'latest', 1, 0,
   '01V00000000000000000BASEV2', 'ann', 1, 2),
  ('01C0000000000000000000WEBL', '01B00000000000000000000WEB', 'latest', 1, 0,
   '01V000000000000000000WEBV1', 'bob', 1, 3);
INSERT INTO builds VALUES
  ('01D00000000000000000BASEB1', '01V00000000000000000BASEV1', 'docker.base', 'BUILD_DONE', 'r1',
   'docker', '{}', '{}', '', NULL, NULL, 1, 1),
  ('01D00000000000000000BASEB2', '01V00000000000000000BASEV2', 'docker.base', 'BUILD_DONE', 'r2',
   'docker', '{}', '{}', '', NULL, NULL, 2, 2),
  ('01D000000000000000000WEBB1', '01V000000000000000000WEBV1', 'docker.web', 'BUILD_DONE', 'r3',
   'docker', '{}', '{}', 'sha256:1', '01V00000000000000000BASEV1', NULL, 3, 3);
INSERT INTO artifacts VALUES
  ('01E0000000000000000000ART1', '01D00000000000000000BASEB1', 'sha256:1', 'docker', 1),
  ('01E0000000000000000000ART3', '01D000000000000000000WEBB1', 'sha256:3', 'docker', 3);
";

/// Makes an old database at `url`.
async fn fill(url: &str) {
    sqlx::any::install_default_drivers();
    let mut database = AnyConnection::connect(url).await.expect("the database");
    for step in OLD {
        sqlx::raw_sql(step).execute(&mut database).await.expect("the tables");
    }
    sqlx::raw_sql(CONTENTS).execute(&mut database).await.expect("the contents");
    database.close().await.expect("it is written");
}

async fn is_brought_up_to_date(mut server: Server, start_again: impl Fn() -> Server) {
    let admin = server.admin().await;
    let version = async |bucket: &str, print: &str| {
        let found = admin.get(&format!("/buckets/{bucket}/versions/{print}")).await;
        found["version"].clone()
    };
    let old = version("base", "f1").await;
    assert_eq!((&old["name"], &old["status"]), (&json!("v1"), &json!("VERSION_REVOKED")), "{old}");
    assert_eq!(old["revocation_message"], "CVE-1");
    assert_eq!(old["revocation_inherited_from"]["version_fingerprint"], json!(null), "{old}");
    let planned = version("base", "f2").await;
    assert_eq!(planned["status"], "VERSION_REVOCATION_SCHEDULED", "{planned}");
    let child = version("web", "f3").await;
    assert_eq!(child["status"], "VERSION_REVOKED", "{child}");
    assert_eq!(child["revocation_inherited_from"]["version_fingerprint"], "f1", "{child}");
    assert_eq!(child["builds"][0]["artifacts"][0]["external_identifier"], "sha256:3", "{child}");
    // What is restored stays restored for those that inherited it, and the next number is new.
    admin.patch("/buckets/base/versions/f1", json!({ "restore": true })).await;
    assert_eq!(version("base", "f1").await["status"], "VERSION_ACTIVE");
    assert_eq!(version("web", "f3").await["status"], "VERSION_ACTIVE");
    let next = admin.publish("base", "f4", None).await;
    assert_eq!(version("base", "f4").await["name"], "v3", "{next}");
    assert_eq!(admin.publish("web", "f5", None).await["name"], "v2");
    // A second start finds nothing left to do.
    assert_eq!(server.stop(), Some(0));
    drop(start_again());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("registry-server.db");
    fill(&format!("sqlite://{}?mode=rwc", file.display())).await;
    let start = || Server::start(dir.path(), &["-rate-limit=0"]);
    is_brought_up_to_date(start(), start).await;
}

/// Commands leave a database as it is that an older server uses, and say what to do. So the backup
/// before an upgrade is made with the Ingot that can use it.
async fn only_a_server_migrates(url: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let backup = dir.path().join("backup.db");
    let backup = backup.to_str().expect("a plain name");
    fill(&match url.starts_with("postgres") {
        true => url.to_owned(),
        false => format!("sqlite://{url}?mode=rwc"),
    })
    .await;
    let database = ["-database-url", url];
    for (args, why) in [
        (&["backup", backup][..], "is of an older Ingot"),
        (&["project", "list"], "is of an older Ingot"),
        (&["principal", "create", "ci"], "is of an older Ingot"),
        (&["audit"], "is of an older Ingot"),
        (&["sign-in-link"], "is of an older Ingot"),
        (&["restore-backup", backup], "is not empty"),
    ] {
        let args = [&["registry"], args, &database].concat();
        let run = tokio::task::block_in_place(|| ingot_with(dir.path(), &args, &[]));
        assert_eq!(run.code, Some(1), "{args:?}: {}", run.stdout);
        assert!(run.stderr.contains(why), "{args:?}: {}", run.stderr);
    }
    assert!(!std::path::Path::new(backup).exists());
    let url = if url.starts_with("postgres") { url.to_owned() } else { format!("sqlite://{url}") };
    let mut database = AnyConnection::connect(&url).await.expect("the database");
    let count = sqlx::query_scalar("SELECT count(*) FROM migrations");
    let count: i64 = count.fetch_one(&mut database).await.expect("the steps");
    assert_eq!(count, 3, "it was migrated");
    database.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_server_migrates_a_database_of_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    only_a_server_migrates(dir.path().join("old.db").to_str().expect("a plain name")).await;
    // A database without a registry gets none by commands either.
    let empty = dir.path().join("empty.db");
    std::fs::write(&empty, "").expect("it is written");
    let args = ["registry", "project", "list", "-database-url", empty.to_str().expect("a name")];
    let run = ingot_with(dir.path(), &args, &[]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("there is no registry in this database"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_older_tables_is_restored_by_a_copy() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name).to_str().expect("a plain name").to_owned();
    let (old, new) = (at("old.db"), at("new.db"));
    fill(&format!("sqlite://{old}?mode=rwc")).await;
    let before = std::fs::read(&old).expect("the backup");
    let args = ["registry", "restore-backup", &old, "-database-url", &new];
    let restore = || tokio::task::block_in_place(|| ingot_with(dir.path(), &args, &[]));
    // The copy cannot be written.
    let copy = at("new.db.restore-part");
    std::fs::create_dir(&copy).expect("a directory");
    let run = restore();
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let why = format!("old.db cannot be copied to {copy}: ");
    assert!(run.stderr.contains(&why), "{}", run.stderr);
    assert!(run.stderr.contains("make room in that directory"), "{}", run.stderr);
    std::fs::remove_dir(&copy).expect("it is empty");

    let run = restore();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(std::fs::read(&old).expect("the backup"), before, "it was changed");
    assert!(!std::path::Path::new(&copy).exists());
    let args = ["registry", "project", "list", "-database-url", &new];
    let run = tokio::task::block_in_place(|| ingot_with(dir.path(), &args, &[]));
    assert!(run.stdout.contains("default"), "{}{}", run.stdout, run.stderr);
}

/// Builds bring the file up to date that is theirs alone, but not the one that a server, perhaps of an
/// older Ingot, serves.
#[tokio::test(flavor = "multi_thread")]
async fn builds_do_not_migrate_what_is_served() {
    let dir = tempfile::tempdir().expect("a directory");
    let (served, own) = (dir.path().join("served.db"), dir.path().join("own.db"));
    for file in [&served, &own] {
        fill(&format!("sqlite://{}?mode=rwc", file.display())).await;
    }
    let url = format!("sqlite://{}", served.display());
    let mut database = AnyConnection::connect(&url).await.expect("the database");
    sqlx::raw_sql(
        "INSERT INTO principals VALUES ('p', '0b0f6b4e-0000-4000-8000-000000000001', NULL, 'admin', \
         'admin', 'x', 1)",
    )
    .execute(&mut database)
    .await
    .expect("a principal");
    database.close().await.expect("it is written");
    let list = |file: &std::path::Path| {
        let env = [("INGOT_REGISTRY", file.to_str().expect("a plain name"))];
        ingot_with(dir.path(), &["registry", "buckets", "list"], &env)
    };
    let run = list(&served);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("only `ingot registry serve` migrates it"), "{}", run.stderr);
    let mut database = AnyConnection::connect(&url).await.expect("the database");
    let count = sqlx::query_scalar("SELECT count(*) FROM migrations");
    let count: i64 = count.fetch_one(&mut database).await.expect("the steps");
    assert_eq!(count, 3, "it was migrated");
    database.close().await.expect("it closes");
    let run = list(&own);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("base"), "{}", run.stdout);
}

/// Many programs have a table `migrations`. A database of one is refused, by a server as well.
async fn another_program_keeps_its_database(url: &str) {
    sqlx::any::install_default_drivers();
    let mut database = AnyConnection::connect(url).await.expect("the database");
    let tables = "CREATE TABLE migrations (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL); \
                  INSERT INTO migrations VALUES (1, 'a'), (2, 'b')";
    sqlx::raw_sql(tables).execute(&mut database).await.expect("the table");
    database.close().await.expect("it is written");
    let dir = tempfile::tempdir().expect("a directory");
    let named = url.strip_prefix("sqlite://").unwrap_or(url);
    let named = named.strip_suffix("?mode=rwc").unwrap_or(named);
    for args in [&["project", "list"][..], &["serve", "-listen=127.0.0.1:0"]] {
        let args = [&["registry"], args, &["-database-url", named]].concat();
        let env = [("INGOT_DATA_DIR", dir.path().to_str().expect("a plain name"))];
        let run = tokio::task::block_in_place(|| ingot_with(dir.path(), &args, &env));
        assert_eq!(run.code, Some(1), "{args:?}: {}", run.stdout);
        let why = "this database belongs to another program";
        assert!(run.stderr.contains(why), "{args:?}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_keeps_its_database_of_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("other.db");
    another_program_keeps_its_database(&format!("sqlite://{}?mode=rwc", file.display())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_keeps_its_database_of_postgresql() {
    let postgres = require!(Postgres::start());
    another_program_keeps_its_database(&postgres.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_server_migrates_a_database_of_postgresql() {
    let postgres = require!(Postgres::start());
    only_a_server_migrates(&postgres.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_postgresql() {
    let postgres = require!(Postgres::start());
    fill(&postgres.url()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let url = postgres.url();
    let start = || Server::start(dir.path(), &["-rate-limit=0", "-database-url", &url]);
    is_brought_up_to_date(start(), start).await;
}
