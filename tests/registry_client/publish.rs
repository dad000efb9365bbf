//! What builds publish.

use serde_json::Value;

use crate::world::{World, finish, with_both};
use ingot_test_support::{BASE, docker, require};

/// A template that writes two files and publishes them.
pub(crate) const FILES: &str = r#"
hcp_packer_registry {
  bucket_name   = "files"
  description   = "two files"
  bucket_labels = { team = "storage" }
  build_labels  = { stage = "test" }
}
source "file" "a" {
  content = "a of ${packer.versionFingerprint}"
  target  = "out/a.txt"
}
source "file" "b" {
  source = "from.txt"
  target = "b.txt"
}
build {
  sources = ["source.file.a", "source.file.b"]
}
"#;

/// A build of a version, by its component.
pub(crate) fn build_of<'a>(version: &'a Value, component: &str) -> &'a Value {
    let builds = version["builds"].as_array().expect("builds");
    let found = builds.iter().find(|build| build["component_type"] == component);
    found.unwrap_or_else(|| panic!("no {component} in {version:#}"))
}

#[test]
fn a_run_is_a_version() {
    with_both(|world| {
        // A local can be made of what is known only then.
        let message = "\"a of ${packer.versionFingerprint}\"";
        let locals = format!("locals {{\n  told = {message}\n}}\n");
        world.write("files.pkr.hcl", &(locals + &FILES.replace(message, "local.told")));
        world.write("from.txt", "b");
        let run = world.build("files.pkr.hcl", "run-1");
        let said = format!("Tracking build on {} with fingerprint \"run-1\"", world.name);
        assert!(run.stdout.contains(&said), "{}", run.stdout);

        let version = world.json(&["versions", "show", "files", "run-1"]);
        assert_eq!(version["name"], "v1");
        assert_eq!(version["status"], "VERSION_ACTIVE");
        assert_eq!(version["template_type"], "HCL2");
        let id = version["id"].as_str().expect("an id");
        let line =
            format!("Published metadata to {} registry packer/files/versions/{id}", world.name);
        assert!(run.stdout.contains(&format!("--> file.a: {line}")), "{}", run.stdout);
        assert!(run.stdout.contains(&format!("--> file.b: {line}")), "{}", run.stdout);
        assert!(!run.stdout.contains("incomplete"), "{}", run.stdout);

        let a = build_of(&version, "file.a");
        assert_eq!(a["status"], "BUILD_DONE");
        assert_eq!(a["platform"], "packer.file");
        assert_eq!(a["labels"]["stage"], "test");
        assert_eq!(a["artifacts"][0]["external_identifier"], "a.txt");
        assert_eq!(a["artifacts"][0]["region"], "out");
        let b = build_of(&version, "file.b");
        assert_eq!(b["source_external_identifier"], "from.txt");
        assert_eq!(b["artifacts"][0]["region"], ".");
        assert_eq!(a["packer_run_uuid"], b["packer_run_uuid"]);
        let about = &a["metadata"]["packer"];
        assert_eq!(about["tool"]["name"], "ingot");
        assert_eq!(about["tool"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(about["options"]["path"], "files.pkr.hcl");
        assert_eq!(about["os"]["type"], std::env::consts::OS);

        let bucket = world.json(&["buckets", "show", "files"]);
        assert_eq!(bucket["description"], "two files");
        assert_eq!(bucket["labels"]["team"], "storage");
        // What the template got of the version.
        let written = std::fs::read_to_string(world.path().join("out/a.txt")).expect("the file");
        assert_eq!(written, "a of run-1");
    });
}

#[test]
fn images_of_docker_are_published() {
    require!(docker());
    with_both(|world| {
        world.write(
            "image.pkr.hcl",
            &format!(
                r#"
hcp_packer_registry {{
  bucket_name = "images"
}}
source "docker" "d" {{
  image  = "{BASE}"
  pull   = false
  commit = true
}}
build {{
  sources = ["source.docker.d"]
  post-processor "docker-tag" {{
    repository = "ingot-registry-test"
    tags       = ["one"]
  }}
}}
"#
            ),
        );
        world.build("image.pkr.hcl", "image-1");
        let version = world.json(&["versions", "show", "images", "image-1"]);
        let build = build_of(&version, "docker.d");
        assert_eq!(build["platform"], "docker");
        assert_eq!(build["artifacts"][0]["region"], "docker");
        let id = build["artifacts"][0]["external_identifier"].as_str().expect("an id");
        assert!(id.starts_with("sha256:"), "{id}");
        assert_eq!(build["labels"]["ImageSha256"], id);
        assert_eq!(build["labels"]["tags"], "ingot-registry-test:one");
        let source = build["source_external_identifier"].as_str().expect("an id");
        assert!(source.starts_with("sha256:") && source != id, "{source}");
        let plugins = &build["metadata"]["packer"]["plugins"];
        assert_eq!(plugins[0]["name"], "docker");

        let found = world.json(&["artifacts", "find", id, "-platform=docker"]);
        assert_eq!(found[0]["bucket"]["name"], "images");
        let _ =
            std::process::Command::new("docker").args(["rmi", "ingot-registry-test:one"]).output();
    });
}

#[test]
fn a_second_run_builds_what_is_missing() {
    with_both(|world| {
        world.write("files.pkr.hcl", FILES);
        world.write("from.txt", "b");
        let fingerprint = [("HCP_PACKER_BUILD_FINGERPRINT", "twice")];
        let first = world.ingot_with(&["build", "-only=file.a", "files.pkr.hcl"], &fingerprint);
        assert_eq!(first.code, Some(0), "{}", first.stdout);
        let missing = "Version \"twice\" is incomplete, the following builds are missing artifact \
                       metadata:\n\n* \"file.b\": BUILD_UNSET\n";
        assert!(first.stdout.contains(missing), "{}", first.stdout);
        assert!(first.stdout.contains("HCP_PACKER_BUILD_FINGERPRINT=\"twice\""));

        std::fs::remove_file(world.path().join("out/a.txt")).expect("the file was made");
        let second = world.build("files.pkr.hcl", "twice");
        assert!(second.stdout.contains("skipping already done build \"file.a\""));
        assert!(!world.path().join("out/a.txt").exists(), "it was not built again");
        let version = world.json(&["versions", "show", "files", "twice"]);
        assert_eq!(version["name"], "v1");

        let third = world.ingot_with(&["build", "files.pkr.hcl"], &fingerprint);
        assert_eq!(third.code, Some(1));
        let said = "The version associated to the fingerprint twice is complete";
        assert!(third.stdout.contains(said), "{}", third.stdout);
        assert!(!world.path().join("out/a.txt").exists(), "nothing was built");
    });
}

#[test]
fn machines_fill_one_version_together() {
    with_both(|world| {
        let mut template = String::from("hcp_packer_registry {\n  bucket_name = \"many\"\n}\n");
        for name in ["a", "b", "c", "d"] {
            template.push_str(&format!(
                "source \"file\" \"{name}\" {{\n  content = \"x\"\n  target = \"{name}.txt\"\n}}\n"
            ));
        }
        template.push_str(
            "build {\n  sources = [\"source.file.a\", \"source.file.b\", \"source.file.c\", \
             \"source.file.d\"]\n}\n",
        );
        world.write("many.pkr.hcl", &template);
        let run = |name: &str| {
            let mut command =
                world.command(&["build", &format!("-only=file.{name}"), "many.pkr.hcl"]);
            command
                .env("HCP_PACKER_BUILD_FINGERPRINT", "together")
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped());
            command.spawn().expect("the program can be run")
        };
        let runs: Vec<_> = ["a", "b", "c", "d"].map(run).into_iter().map(finish).collect();
        for run in runs {
            assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        }
        let versions = world.json(&["versions", "list", "many"]);
        assert_eq!(versions.as_array().map(Vec::len), Some(1), "{versions:#}");
        assert_eq!(versions[0]["name"], "v1");
        assert_eq!(versions[0]["builds"].as_array().map(Vec::len), Some(4), "{versions:#}");
    });
}

#[test]
fn channels_of_the_template_get_the_version() {
    with_both(|world| {
        world.write("from.txt", "b");
        let template = FILES.replace("description ", "channels = [\"stable\"]\n  description ");
        world.write("files.pkr.hcl", &template);
        world.ok(&["registry", "buckets", "create", "files"]);
        world.ok(&["registry", "channels", "create", "files", "stable"]);
        world.build("files.pkr.hcl", "first");
        let channel = world.json(&["channels", "show", "files", "stable"]);
        assert_eq!(channel["version"]["fingerprint"], "first");

        // What could not be assigned at the end is found before anything is built.
        std::fs::remove_file(world.path().join("out/a.txt")).expect("it was built");
        let missing = template.replace("\"stable\"", "\"stable\", \"nowhere\"");
        world.write("files.pkr.hcl", &missing);
        let env = [("HCP_PACKER_BUILD_FINGERPRINT", "second")];
        let run = world.ingot_with(&["build", "files.pkr.hcl"], &env);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        let text = "bucket files has no channel `nowhere`";
        assert!(run.stdout.contains(text), "{}", run.stdout);
        let help = "`ingot registry channel create files nowhere`";
        assert!(run.stdout.contains(help), "{}", run.stdout);
        assert!(!world.path().join("out/a.txt").exists(), "nothing was built");
        world.fails(&["registry", "versions", "show", "files", "second"]);
        // The help helps.
        world.ok(&["registry", "channel", "create", "files", "nowhere"]);
        world.build("files.pkr.hcl", "second");
        let channel = world.json(&["channels", "show", "files", "nowhere"]);
        assert_eq!(channel["version"]["fingerprint"], "second");

        // A channel of a bucket that is not there yet.
        let other = template.replace("\"files\"", "\"fresh\"");
        world.write("fresh.pkr.hcl", &other);
        let run = world.ingot_with(&["build", "fresh.pkr.hcl"], &env);
        assert!(run.stdout.contains("bucket fresh has no channel `stable`"), "{}", run.stdout);
        world.ok(&["registry", "channel", "create", "fresh", "stable"]);
        world.build("fresh.pkr.hcl", "second");

        // The registry's own.
        world.write("latest.pkr.hcl", &template.replace("\"stable\"", "\"latest\""));
        for command in ["build", "validate"] {
            let run = world.ingot_with(&[command, "latest.pkr.hcl"], &env);
            assert_eq!(run.code, Some(1), "{}", run.stdout);
            let text = "the channel `latest` cannot be assigned a version";
            assert!(run.stdout.contains(text), "{}", run.stdout);
            let line = run.stdout.lines().find(|line| line.contains("channels"));
            assert!(line.is_some_and(|line| line.contains("\"latest\"")), "{}", run.stdout);
        }
        let off = [("HCP_PACKER_REGISTRY", "off")];
        assert_eq!(world.ingot_with(&["validate", "latest.pkr.hcl"], &off).code, Some(0));
    });
}

#[test]
fn the_environment_can_publish_and_not_publish() {
    let world = World::local();
    let plain = FILES.split_once("source \"file\" \"a\"").expect("a source").1;
    let plain = format!("source \"file\" \"a\"{plain}").replace("${packer.versionFingerprint}", "");
    world.write("plain.pkr.hcl", &plain);
    world.write("from.txt", "b");
    let run = world.ingot_with(&["build", "plain.pkr.hcl"], &[("HCP_PACKER_REGISTRY", "on")]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("HCP_PACKER_BUCKET_NAME"), "{}", run.stdout);
    let named = [("HCP_PACKER_BUCKET_NAME", "by-name")];
    let run = world.ingot_with(&["build", "plain.pkr.hcl"], &named);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    // Without one that is given, each run has a fingerprint of its own.
    let version = &world.json(&["versions", "list", "by-name"])[0];
    assert_eq!(version["fingerprint"].as_str().map(str::len), Some(26));

    world.write("files.pkr.hcl", FILES);
    let mut off = world.command(&["build", "-only=file.b", "files.pkr.hcl"]);
    off.env("HCP_PACKER_REGISTRY", "OFF").env_remove("INGOT_REGISTRY");
    let run = crate::world::run(off.output().expect("the program can be run"));
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(!run.stdout.contains("Published"));

    let mut nowhere = world.command(&["build", "files.pkr.hcl"]);
    nowhere.env_remove("INGOT_REGISTRY");
    let run = crate::world::run(nowhere.output().expect("the program can be run"));
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("there are no credentials for a registry"), "{}", run.stdout);
    let mut gone = world.command(&["build", "files.pkr.hcl"]);
    gone.env_remove("INGOT_REGISTRY").env("HCP_CRED_FILE", "/nowhere/cred_file.json");
    let gone = crate::world::run(gone.output().expect("the program can be run"));
    let text = "HCP_CRED_FILE: there is no file /nowhere/cred_file.json";
    assert!(gone.code == Some(1) && gone.stdout.contains(text), "{}", gone.stdout);
    assert!(run.stdout.contains("INGOT_REGISTRY=local"), "{}", run.stdout);
}

#[test]
fn what_is_no_image_is_an_error() {
    let world = World::local();
    world.write("from.txt", "b");
    world.write(
        "gone.pkr.hcl",
        r#"
hcp_packer_registry {
  bucket_name = "gone"
}
source "file" "a" {
  content = "x"
  target  = "a.txt"
}
build {
  sources = ["source.file.a"]
  post-processor "compress" {
    output = "a.txt.gz"
  }
}
"#,
    );
    let env = [("HCP_PACKER_BUILD_FINGERPRINT", "gone-1")];
    let run = world.ingot_with(&["build", "gone.pkr.hcl"], &env);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("nothing that can be published"), "{}", run.stdout);
    let version = world.json(&["versions", "show", "gone", "gone-1"]);
    assert_eq!(build_of(&version, "file.a")["status"], "BUILD_FAILED");
}
