//! What the registry in a file does by itself, without a server.

use sqlx::{Connection, SqliteConnection};

use crate::publish::{FILES, build_of};
use crate::world::World;

/// Changes the registry's file behind its back.
fn change(world: &World, sql: &'static str) {
    let path = world.path().join("registry.db").display().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut database = SqliteConnection::connect(&path).await.expect("the file opens");
        sqlx::raw_sql(sql).execute(&mut database).await.expect("it can be changed");
        database.close().await.expect("it closes");
    });
}

#[test]
fn a_silent_build_is_cancelled_without_a_server() {
    let world = World::local();
    world.write("from.txt", "b");
    world.write("files.pkr.hcl", FILES);
    let env = [("HCP_PACKER_BUILD_FINGERPRINT", "silent-1")];
    let run = world.ingot_with(&["build", "-only=file.b", "files.pkr.hcl"], &env);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    // As a killed run leaves it, some time ago.
    let age = "UPDATE builds SET status = 'BUILD_RUNNING', updated_at = updated_at - 660000000 \
               WHERE component_type = 'file.a'";
    change(&world, age);
    let version = world.json(&["versions", "show", "files", "silent-1"]);
    assert_eq!(build_of(&version, "file.a")["status"], "BUILD_CANCELLED");
    assert_eq!(build_of(&version, "file.b")["status"], "BUILD_DONE");
}

#[test]
fn a_revocation_that_fails_keeps_nobody_from_reading() {
    let world = World::local();
    world.write("from.txt", "b");
    world.write("files.pkr.hcl", FILES);
    world.build("files.pkr.hcl", "one");
    world.ok(&["registry", "revoke", "files", "v1", "-in=1s"]);
    let fail = "CREATE TRIGGER fail BEFORE UPDATE OF revoked ON versions BEGIN \
                SELECT RAISE(ABORT, 'not today'); END";
    change(&world, fail);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let versions = world.json(&["versions", "list", "files"]);
    assert_eq!(versions[0]["fingerprint"], "one");
    change(&world, "DROP TRIGGER fail");
    let versions = world.json(&["versions", "list", "files"]);
    assert_eq!(versions[0]["status"], "VERSION_REVOKED");
}
