//! Builds that fail, are cancelled or are killed, and those that take long.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::publish::build_of;
use crate::world::{World, finish, interrupt, with_both};
use ingot_test_support::eventually;

/// A build that goes on until the file `go` is there, and then fails if it holds `fail`.
const SLOW: &str = r#"
hcp_packer_registry {
  bucket_name = "slow"
}
source "file" "s" {
  content = "x"
  target  = "s.txt"
}
build {
  sources = ["source.file.s"]
  provisioner "shell-local" {
    inline = ["until [ -e go ]; do sleep 0.1; done", "! grep -q fail go"]
  }
}
"#;

const FIRST: [(&str, &str); 1] = [("HCP_PACKER_BUILD_FINGERPRINT", "slow-1")];

fn slow(world: &World) -> std::process::Child {
    let _ = std::fs::remove_file(world.path().join("go"));
    world.write("slow.pkr.hcl", SLOW);
    let build = world.spawn_build("slow.pkr.hcl", &FIRST);
    world.wait_for("slow", "slow-1", "file.s", "BUILD_RUNNING");
    build
}

fn status(world: &World) -> String {
    let version = world.json(&["versions", "show", "slow", "slow-1"]);
    build_of(&version, "file.s")["status"].as_str().expect("a status").to_owned()
}

#[test]
fn failed_and_cancelled_builds_are_reported_and_done_again() {
    with_both(|world| {
        let build = slow(world);
        world.write("go", "fail");
        assert_eq!(finish(build).code, Some(1));
        assert_eq!(status(world), "BUILD_FAILED");
        let version = world.json(&["versions", "show", "slow", "slow-1"]);
        let why = &build_of(&version, "file.s")["metadata"]["packer"]["error"];
        assert!(why.as_str().is_some_and(|why| why.contains("exit")), "{why}");

        let build = slow(world);
        interrupt(&build);
        let run = finish(build);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert_eq!(status(world), "BUILD_CANCELLED");
        assert!(run.stdout.contains("* \"file.s\": BUILD_CANCELLED"), "{}", run.stdout);

        world.write("go", "");
        world.build("slow.pkr.hcl", "slow-1");
        assert_eq!(status(world), "BUILD_DONE");
    });
}

#[test]
fn a_killed_run_is_taken_up_by_the_next() {
    with_both(|world| {
        let mut build = slow(world);
        build.kill().expect("it is killed");
        build.wait().expect("it is gone");
        assert_eq!(status(world), "BUILD_RUNNING");
        world.write("go", "");
        world.build("slow.pkr.hcl", "slow-1");
        let version = world.json(&["versions", "show", "slow", "slow-1"]);
        assert_eq!(version["name"], "v1");
        let versions = world.json(&["versions", "list", "slow"]);
        assert_eq!(versions.as_array().map(Vec::len), Some(1));
        let builds = version["builds"].as_array().map(Vec::len);
        assert_eq!(builds, Some(1), "{version:#}");
    });
}

#[test]
fn a_running_build_has_a_heartbeat() {
    with_both(|world| {
        world.write("slow.pkr.hcl", SLOW);
        let env = [FIRST[0], ("INGOT_REGISTRY_HEARTBEAT", "100ms")];
        let build = world.spawn_build("slow.pkr.hcl", &env);
        world.wait_for("slow", "slow-1", "file.s", "BUILD_RUNNING");
        let beat = || {
            let version = world.json(&["versions", "show", "slow", "slow-1"]);
            build_of(&version, "file.s")["updated_at"].clone()
        };
        let first = beat();
        eventually("the registry is notified again that the build runs", || beat() != first);
        world.write("go", "");
        assert_eq!(finish(build).code, Some(0));
        let done = beat();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(done, beat(), "no notification follows for a build that is done");
    });
}

#[test]
fn a_heartbeat_that_is_no_duration_or_too_long_is_an_error_before_the_build() {
    let world = World::local();
    world.write("slow.pkr.hcl", SLOW);
    for (period, problem) in [("30", "has no unit"), ("20m", "would take running builds for dead")]
    {
        let mut command = world.command(&["build", "slow.pkr.hcl"]);
        command.envs(FIRST).env("INGOT_REGISTRY_HEARTBEAT", period);
        let output = command.output().expect("the program can be run");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let error = format!("INGOT_REGISTRY_HEARTBEAT is \"{period}\": ");
        assert!(said.contains(&error) && said.contains(problem), "{said}");
        assert!(!said.contains("file.s: "), "{said}");
    }
}

#[test]
fn a_build_that_is_interrupted_before_it_begins_says_what_its_version_lacks() {
    let world = World::local();
    // What a build is made from is read before it begins: this takes a minute, and no room on the disk.
    let large = std::fs::File::create(world.path().join("large")).expect("a file");
    large.set_len(64 << 30).expect("a file with a hole");
    let upload = "provisioner \"file\" {\n    source = \"large\"\n    destination = \"/l\"\n  }\n}";
    let (before, _) = SLOW.split_once("provisioner").expect("it has one");
    world.write("slow.pkr.hcl", &format!("{before}{upload}\n"));
    let mut command = world.command(&["build", "-report=r.json", "slow.pkr.hcl"]);
    command.envs(FIRST).stdout(Stdio::piped()).stderr(Stdio::piped());
    let build = command.spawn().expect("the program can be run");
    world.wait_for("slow", "slow-1", "file.s", "BUILD_UNSET");
    interrupt(&build);
    let run = finish(build);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("Cancelling build after receiving interrupt"), "{}", run.stdout);
    assert!(run.stdout.contains("* \"file.s\": BUILD_UNSET"), "{}", run.stdout);
    let go_on = "HCP_PACKER_BUILD_FINGERPRINT=\"slow-1\"";
    assert_eq!(run.stdout.matches(go_on).count(), 1, "{}", run.stdout);
    let report = std::fs::read_to_string(world.path().join("r.json")).expect("the report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["run"]["status"], "cancelled", "{report:#}");
}
