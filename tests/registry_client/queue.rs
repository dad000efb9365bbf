//! What cannot be published is kept, and published later.

use crate::publish::build_of;
use crate::world::{World, finish};

const LONG: &str = r#"
hcp_packer_registry {
  bucket_name = "kept"
  channels    = ["stable"]
}
source "file" "k" {
  content = "x"
  target  = "k.txt"
}
build {
  sources = ["source.file.k"]
  provisioner "shell-local" {
    inline = ["until [ -e go ]; do sleep 0.1; done"]
  }
}
"#;

#[test]
fn an_artifact_outlives_its_registry() {
    let mut world = World::served();
    world.write("long.pkr.hcl", LONG);
    world.ok(&["registry", "buckets", "create", "kept"]);
    world.ok(&["registry", "channels", "create", "kept", "stable"]);
    let env = [("HCP_PACKER_BUILD_FINGERPRINT", "kept-1")];
    let build = world.spawn_build("long.pkr.hcl", &env);
    world.wait_for("kept", "kept-1", "file.k", "BUILD_RUNNING");
    world.kill_server();
    world.write("go", "");
    let run = finish(build);
    // All was built and something is to be published: neither a success nor a failure.
    assert_eq!(run.code, Some(75), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("Build 'file.k' finished"), "{}", run.stdout);
    assert!(run.stdout.contains("built, but not published"), "{}", run.stdout);
    assert!(run.stdout.contains("`ingot registry push` publishes it"), "{}", run.stdout);
    assert!(!run.stdout.contains("Published metadata"), "{}", run.stdout);
    // Building it again would make it twice.
    assert!(run.stdout.contains("they need not be built again"), "{}", run.stdout);
    assert!(!run.stdout.contains("build again with"), "{}", run.stdout);
    assert!(!run.stdout.contains("HCP_PACKER_BUILD_FINGERPRINT"), "{}", run.stdout);
    assert!(world.path().join("k.txt").exists(), "what was built is there");

    let waiting = world.json(&["push", "-list"]);
    assert_eq!(waiting[0]["component"], "file.k");
    assert_eq!(waiting[0]["update"]["artifacts"][0]["external_identifier"], "k.txt");
    // The registry is still away.
    let said = world.fails(&["registry", "push"]);
    assert!(said.contains(&world.name), "{said}");
    assert_eq!(world.json(&["push", "-list"]).as_array().map(Vec::len), Some(1));

    world.start_server();
    let said = world.ok(&["registry", "push"]);
    assert!(said.contains("file.k: Published metadata to"), "{said}");
    let version = world.json(&["versions", "show", "kept", "kept-1"]);
    assert_eq!(version["name"], "v1");
    assert_eq!(build_of(&version, "file.k")["artifacts"][0]["external_identifier"], "k.txt");
    let channel = world.json(&["channels", "show", "kept", "stable"]);
    assert_eq!(channel["version"]["fingerprint"], "kept-1");
    assert!(world.ok(&["registry", "push"]).contains("Nothing waits"));
}

#[test]
fn what_has_arrived_is_not_published_twice() {
    let mut world = World::served();
    world.write("long.pkr.hcl", &LONG.replace("channels", "# channels"));
    let env = [("HCP_PACKER_BUILD_FINGERPRINT", "kept-1")];
    let build = world.spawn_build("long.pkr.hcl", &env);
    world.wait_for("kept", "kept-1", "file.k", "BUILD_RUNNING");
    world.kill_server();
    world.write("go", "");
    assert_eq!(finish(build).code, Some(75));
    let directory = world.path().join("state/unpublished");
    let kept = std::fs::read_dir(&directory).expect("the directory").next().expect("a file");
    let kept = kept.expect("a file").path();
    let text = std::fs::read(&kept).expect("it can be read");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&kept).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600, "it is for its owner only");
    world.start_server();
    world.ok(&["registry", "push"]);
    // As if the answer had been lost.
    std::fs::write(&kept, text).expect("it is written again");
    world.ok(&["registry", "push"]);
    assert!(!kept.exists());
    assert_eq!(world.json(&["versions", "list", "kept"]).as_array().map(Vec::len), Some(1));

    // What waits for one registry does not go to another.
    let other = World::local();
    std::fs::create_dir_all(other.path().join("state/unpublished")).expect("a directory");
    let text = r#"{"address":"elsewhere","location":{},"bucket":{"name":"kept"},"fingerprint":"f",
        "component":"file.k","update":{},"channels":[],"queued_at":"2026-01-01T00:00:00Z",
        "reason":""}"#;
    other.write("state/unpublished/x.json", text);
    let said = other.fails(&["registry", "push"]);
    assert!(said.contains("waits for another registry: elsewhere"), "{said}");
    assert!(said.contains("`ingot registry push -drop=x` gives it up"), "{said}");
    assert!(other.path().join("state/unpublished/x.json").exists());
    // What cannot be read is not nothing.
    other.write("state/unpublished/x.json", "{");
    let said = other.fails(&["registry", "push"]);
    assert!(!said.contains("Nothing waits") && said.contains("cannot be read"), "{said}");
    other.ok(&["registry", "push", "-drop=x"]);
    assert!(other.ok(&["registry", "push"]).contains("Nothing waits"));
}

#[test]
fn a_registry_is_known_by_its_project_wherever_it_is() {
    let mut world = World::served();
    world.write("long.pkr.hcl", &LONG.replace("channels", "# channels"));
    let env = [("HCP_PACKER_BUILD_FINGERPRINT", "kept-1")];
    let build = world.spawn_build("long.pkr.hcl", &env);
    world.wait_for("kept", "kept-1", "file.k", "BUILD_RUNNING");
    world.kill_server();
    world.write("go", "");
    assert_eq!(finish(build).code, Some(75));
    let before = world.name.clone();
    world.move_server();
    assert_ne!(world.name, before);
    let said = world.ok(&["registry", "push"]);
    assert!(said.contains("file.k: Published metadata to"), "{said}");
    assert_eq!(world.json(&["versions", "show", "kept", "kept-1"])["name"], "v1");
}

#[test]
fn nothing_is_built_that_cannot_be_published() {
    let mut world = World::served();
    world.write("long.pkr.hcl", LONG);
    world.write("go", "");
    world.kill_server();
    let said = world.fails(&["build", "long.pkr.hcl"]);
    assert!(said.contains("Nothing is built, since it could not be published"), "{said}");
    assert!(said.contains("HCP_PACKER_REGISTRY=off"), "{said}");
    assert!(!world.path().join("k.txt").exists());
    world.start_server();
    // A wrong secret is refused, and shown nowhere.
    let env = [("HCP_CLIENT_SECRET", "not-the-real-secret"), ("PACKER_LOG", "TRACE")];
    let run = world.ingot_with(&["build", "long.pkr.hcl"], &env);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains(&world.name), "{}", run.stdout);
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(!all.contains("not-the-real-secret"), "{all}");
    // Nor is the right one, nor a token.
    let run = world.ingot_with(&["build", "long.pkr.hcl"], &[("PACKER_LOG", "TRACE")]);
    let all = format!("{}{}", run.stdout, run.stderr);
    let secret = world.env().iter().find(|(name, _)| name == "HCP_CLIENT_SECRET");
    assert!(!all.contains(&secret.expect("a secret").1), "{all}");
    assert!(!all.contains("Bearer ey"), "{all}");
}
