//! Versions that several runs build, as they are at one commit.

use std::collections::BTreeSet;
use std::process::Stdio;

use super::tree::{built, family, move_channel, names, ok, write};
use crate::fingerprint::{GIT, git};
use crate::world::{World, finish};

/// Two builds from the channel `production` of `base`. Each fails as long as there is a file
/// `fail-NAME`, and waits as long as there is one `hold-NAME`, if `FREE` is not set.
const PAIR: &str = r#"data "hcp-packer-artifact" "parent" {
  bucket_name  = "base"
  channel_name = "production"
  platform     = "packer.file"
  region       = "."
}
hcp_packer_registry {
  bucket_name = "pair"
}
source "file" "one" {
  source = data.hcp-packer-artifact.parent.external_identifier
  target = "pair-one.txt"
}
source "file" "two" {
  source = data.hcp-packer-artifact.parent.external_identifier
  target = "pair-two.txt"
}
build {
  sources = ["source.file.one", "source.file.two"]
  provisioner "shell-local" {
    inline = [
      "while test -z \"$FREE\" && test -e hold-${source.name}; do sleep 0.1; done",
      "test ! -e fail-${source.name}",
    ]
  }
}
"#;

/// The two, whose versions are called by the commit that they are at.
fn committed(world: &World) -> String {
    family(world, &[("base", None)]);
    write(world, "pair", PAIR);
    git(world, &["init", "-q"]);
    git(world, &["add", "images"]);
    git(world, &["commit", "-qm", "Images"]);
    git(world, &["rev-parse", "HEAD"])
}

#[test]
fn a_version_that_another_run_began_is_not_added_to() {
    let world = World::local();
    let sha = committed(&world);
    world.write("fail-two", "");
    let stale = |env: &[(&str, &str)]| world.ingot_with(&["build", "-stale", "images"], env);
    let run = stale(&[GIT]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_eq!(built(&run), names(&["base"]), "{}", run.stdout);
    let begun = world.json(&["versions", "show", "pair", &sha]);
    assert!(begun.to_string().contains("BUILD_DONE"), "one of the two was built: {begun:#}");

    // What was built of it is from v1 of its parent, the rest would be from v2.
    std::fs::remove_file(world.path().join("fail-two")).expect("it is there");
    move_channel(&world, "base", "base-2");
    let given = stale(&[("HCP_PACKER_BUILD_FINGERPRINT", &sha)]);
    assert_eq!(given.code, Some(1), "{}", given.stdout);
    let said = format!("--> pair: failed: another run began the version {sha}");
    assert!(given.stdout.contains(&said), "{}", given.stdout);

    let run = stale(&[GIT]);
    ok(&run);
    assert_eq!(built(&run), names(&["pair"]), "{}", run.stdout);
    let said = format!("==> pair: another run began the version {sha} and did not complete it");
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    let version = world.json(&["channels", "show", "pair", "production"])["version"].clone();
    let fingerprint = version["fingerprint"].as_str().expect("a fingerprint");
    assert_ne!(fingerprint, sha);
    assert!(fingerprint.starts_with(&format!("{}-", &sha[..12])), "{fingerprint}");
    let version = world.json(&["versions", "show", "pair", fingerprint]);
    let runs: BTreeSet<&str> = version["builds"]
        .as_array()
        .expect("builds")
        .iter()
        .map(|build| build["packer_run_uuid"].as_str().expect("a run"))
        .collect();
    assert_eq!(runs.len(), 1, "{version:#}");
    assert!(stale(&[GIT]).stdout.contains("0 built, 2 unchanged"));
}

#[test]
fn a_version_that_another_run_adds_to_is_not_promoted() {
    let world = World::local();
    let sha = committed(&world);
    // One at a time: the second is published by somebody else while the first is built.
    world.write("hold-one", "");
    let mut command = world.command(&["build", "-stale", "-parallel-builds=1", "images"]);
    let child = command.envs([GIT]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the program can be run");
    world.wait_for("pair", &sha, "file.one", "BUILD_RUNNING");
    let other = ["build", "-only=file.two", "images/pair"];
    ok(&world.ingot_with(&other, &[GIT, ("FREE", "1")]));
    std::fs::remove_file(world.path().join("hold-one")).expect("it is there");
    let run = finish(child);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let said = "--> pair: failed: v1 was not promoted to production: another run has published";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    let channels = world.json(&["channels", "list", "pair"]);
    assert!(!channels.to_string().contains("production"), "{channels:#}");
    // The next run makes one of its own.
    let run = world.ingot_with(&["build", "-stale", "images"], &[GIT]);
    ok(&run);
    let said = "==> pair: v1 was not promoted, as another run added builds to it";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    let said = "--> pair: built v2, promoted to production";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    let run = world.ingot_with(&["build", "-stale", "images"], &[GIT]);
    assert!(run.stdout.contains("0 built, 2 unchanged"), "{}", run.stdout);
}
