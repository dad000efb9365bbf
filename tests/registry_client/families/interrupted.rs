//! Runs that are killed or stopped, and what the next one does.

use std::process::{Child, Stdio};

use serde_json::Value;

use super::tree::{THREE, built, family, move_channel, names, ok, stale};
use crate::world::{World, finish, interrupt};
use ingot_test_support::eventually;

/// Starts a run that waits while it builds `web`, and waits for that.
fn held(world: &World) -> Child {
    world.write("hold-web", "");
    let mut command = world.command(&["build", "-stale", "images"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the program can be run");
    eventually("web is built", || is_running(world));
    child
}

/// Whether a build of `web` runs, as the registry knows.
fn is_running(world: &World) -> bool {
    let run = world.ingot(&["registry", "versions", "list", "web", "-json"]);
    let versions: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
    versions.to_string().contains("VERSION_RUNNING")
}

#[test]
fn a_run_that_is_killed_is_continued() {
    let world = World::local();
    family(&world, THREE);
    ok(&stale(&world));
    move_channel(&world, "base", "base-2");
    let mut child = held(&world);
    child.kill().expect("it is killed");
    child.wait().expect("it is gone");
    // The build that it had started ends by itself, and cleans up.
    eventually("the build ends", || !is_running(&world));
    std::fs::remove_file(world.path().join("hold-web")).expect("it is there");
    let run = stale(&world);
    ok(&run);
    assert_eq!(built(&run), names(&["web", "shop"]), "{}", run.stdout);
    assert!(stale(&world).stdout.contains("0 built, 3 unchanged"));
}

#[test]
fn what_was_built_and_not_promoted_is_promoted_by_the_next_run() {
    let world = World::local();
    family(&world, THREE);
    ok(&stale(&world));
    move_channel(&world, "base", "base-2");
    // As by a run that was killed after the build, and before it could promote.
    let family = format!("{}:production", std::process::id());
    let env = [("INGOT_FAMILY_MEMBER", family.as_str()), ("HCP_PACKER_BUILD_FINGERPRINT", "web-2")];
    let mut command = world.command(&["build", "images/web"]);
    let child = command.envs(env).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child = child.expect("the program can be run");
    // It ends when its family does.
    let family = child.stdin.take();
    assert!(child.wait().expect("it ends").success());
    drop(family);
    let dry_run = || world.ok(&["build", "-stale", "-dry-run", "images"]);
    let dry = dry_run();
    for line in [
        "1. web (images/web): v2, built before, to be promoted to production",
        "2. shop (images/shop), to be promoted to production",
        "   web v2 is promoted before it",
        "1 would be promoted, 1 built in this order, 1 unchanged.",
    ] {
        assert!(dry.lines().any(|one| one == line), "{line}\n{dry}");
    }
    let tree = world.ok(&["plan", "-family", "images"]);
    for line in [
        "├── web v2: to be promoted",
        "└── shop v1: after its parents",
        "    ├── web v2 is promoted before it",
    ] {
        assert!(tree.lines().any(|one| one == line), "{line}\n{tree}");
    }
    let plan = world.ok(&["plan", "-family", "-format=json", "images"]);
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!(plan["members"][1]["state"], "up_to_date", "{plan:#}");
    assert_eq!(plan["members"][1]["promotion_pending"], true, "{plan:#}");
    let run = stale(&world);
    ok(&run);
    let said = "--> web: promoted v2, built before, to production";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    assert_eq!(built(&run), names(&["shop"]), "{}", run.stdout);
    // Not where somebody went back on purpose.
    world.ok(&["registry", "channel", "assign", "web", "production", "v1"]);
    let dry = dry_run();
    assert!(!dry.contains("would be promoted"), "{dry}");
    let run = stale(&world);
    ok(&run);
    assert!(!run.stdout.contains("promoted v2"), "{}", run.stdout);
}

#[test]
fn ctrl_c_stops_and_cleans_up_all() {
    let world = World::local();
    family(&world, THREE);
    ok(&stale(&world));
    move_channel(&world, "base", "base-2");
    let child = held(&world);
    interrupt(&child);
    let run = finish(child);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("--> web: stopped"), "{}", run.stdout);
    assert!(!is_running(&world), "the build was cancelled, and the registry knows");
    // Nothing of them runs any more.
    std::fs::remove_file(world.path().join("hold-web")).expect("it is there");
    let run = stale(&world);
    ok(&run);
    assert_eq!(built(&run), names(&["web", "shop"]), "{}", run.stdout);
}
