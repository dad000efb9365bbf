//! What is done later than it should have been: channels that a run did not live to assign, and
//! builds that waited.

use crate::publish::FILES;
use crate::world::{World, finish, with_both};

fn with_channels(channels: &str) -> String {
    FILES.replace("description ", &format!("channels = [{channels}]\n  description "))
}

#[test]
fn a_run_that_is_repeated_assigns_what_the_first_did_not() {
    with_both(|world| {
        world.write("from.txt", "b");
        world.ok(&["registry", "buckets", "create", "files"]);
        let stable = || world.json(&["channels", "show", "files", "stable"])["version"].clone();
        let env = [("HCP_PACKER_BUILD_FINGERPRINT", "first")];
        let build = || world.ingot_with(&["build", "files.pkr.hcl"], &env);

        // One that ended before its channels were assigned leaves a version as a template without
        // any does.
        world.write("files.pkr.hcl", FILES);
        let run = build();
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        world.write("files.pkr.hcl", &with_channels("\"stable\""));
        world.ok(&["registry", "channels", "create", "files", "stable"]);
        std::fs::remove_file(world.path().join("b.txt")).expect("it was built");
        let run = build();
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        assert!(run.stdout.contains("nothing is left to build"), "{}", run.stdout);
        assert!(run.stdout.contains("Assigned version `first` to channel `stable`"));
        assert!(!world.path().join("b.txt").exists(), "nothing was built");
        assert_eq!(stable()["fingerprint"], "first");

        // Now there is nothing left to do, which is an error as in Packer.
        let run = build();
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        let said = "The version associated to the fingerprint first is complete";
        assert!(run.stdout.contains(said), "{}", run.stdout);

        // Nor is a channel taken from what it was assigned since.
        world.build("files.pkr.hcl", "second");
        assert_eq!(stable()["fingerprint"], "second");
        assert_eq!(build().code, Some(1));
        assert_eq!(stable()["fingerprint"], "second");
        world.ok(&["registry", "channels", "rollback", "files", "stable"]);
        let env = [("HCP_PACKER_BUILD_FINGERPRINT", "second")];
        assert_eq!(world.ingot_with(&["build", "files.pkr.hcl"], &env).code, Some(1));
        assert_eq!(stable()["fingerprint"], "first");
    });
}

const LATE: &str = r#"
variable "go" {}
hcp_packer_registry {
  bucket_name   = "late"
  description   = "as it was"
  bucket_labels = { age = "old" }
  channels      = ["stable", "other"]
}
source "file" "k" {
  content = "x"
  target  = "k.txt"
}
build {
  sources = ["source.file.k"]
  provisioner "shell-local" {
    inline = ["until [ -e ${var.go} ]; do sleep 0.1; done"]
  }
}
"#;

/// Builds while the registry cannot be reached.
fn build_in_vain(world: &mut World, fingerprint: &str) {
    world.write("late.pkr.hcl", LATE);
    let _ = std::fs::remove_file(world.path().join("go"));
    let env = [("HCP_PACKER_BUILD_FINGERPRINT", fingerprint), ("PKR_VAR_go", "go")];
    let build = world.spawn_build("late.pkr.hcl", &env);
    world.wait_for("late", fingerprint, "file.k", "BUILD_RUNNING");
    world.kill_server();
    world.write("go", "");
    let run = finish(build);
    assert_eq!(run.code, Some(75), "{}{}", run.stdout, run.stderr);
    world.start_server();
}

#[test]
fn what_waited_does_not_undo_what_was_done_since() {
    let mut world = World::served();
    world.ok(&["registry", "buckets", "create", "late"]);
    for channel in ["stable", "other"] {
        world.ok(&["registry", "channels", "create", "late", channel]);
    }
    build_in_vain(&mut world, "old");
    // Meanwhile a later version is published, and the bucket changed.
    world.ok(&["registry", "versions", "create", "late", "new"]);
    let record = ["registry", "artifacts", "create", "late", "new", "file.k", "-platform=p"];
    world.ok(&[&record[..], &["-id=i"]].concat());
    world.ok(&["registry", "channels", "assign", "late", "stable", "new"]);
    world.ok(&["registry", "buckets", "update", "late", "-description=new", "-label=age=new"]);

    let said = world.ok(&["registry", "push"]);
    assert!(said.contains("the channel `stable` is left as it is: it points at v1"), "{said}");
    assert!(said.contains("assigned to channel `other`"), "{said}");
    let at = |channel: &str| {
        let channel = world.json(&["channels", "show", "late", channel]);
        channel["version"]["fingerprint"].clone()
    };
    assert_eq!(at("stable"), "new");
    assert_eq!(at("other"), "old");
    let bucket = world.json(&["buckets", "show", "late"]);
    assert_eq!(bucket["description"], "new");
    assert_eq!(bucket["labels"]["age"], "new");
}

#[test]
fn what_waits_can_be_given_up() {
    let mut world = World::served();
    world.ok(&["registry", "buckets", "create", "late"]);
    for channel in ["stable", "other"] {
        world.ok(&["registry", "channels", "create", "late", channel]);
    }
    build_in_vain(&mut world, "one");
    let waiting = world.json(&["push", "-list"]);
    let id = waiting[0]["id"].as_str().expect("an id").to_owned();
    let list = world.ok(&["registry", "push", "-list"]);
    assert!(list.contains(&id), "{list}");

    // Another machine has published the build: this one will never be taken.
    world.ok(&["registry", "artifacts", "delete", "late", "one", "file.k"]);
    let record = ["registry", "artifacts", "create", "late", "one", "file.k", "-platform=p"];
    world.ok(&[&record[..], &["-id=i"]].concat());
    for _ in 0..2 {
        let said = world.fails(&["registry", "push"]);
        assert!(said.contains("file.k of late/one cannot be published"), "{said}");
        assert!(said.contains(&format!("`ingot registry push -drop={id}` gives it up")), "{said}");
    }
    let said = world.fails(&["registry", "push", "-drop=nothing"]);
    assert!(said.contains("no unpublished build is called nothing"), "{said}");
    let said = world.ok(&["registry", "push", &format!("-drop={id}")]);
    assert!(said.contains("Gave up file.k of late/one"), "{said}");
    assert!(world.ok(&["registry", "push"]).contains("Nothing waits"));
}
