//! SBOMs of builds, which `hcp-sbom` takes, in the registry.

use serde_json::Value;

use crate::world::{World, finish, with_both};
use ingot_sdk::testing::names;
use ingot_test_support::disk::Disk;
use ingot_test_support::{BASE, docker, require};

/// A container with two SBOMs.
fn template(last: &str) -> String {
    format!(
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
  provisioner "shell" {{
    inline = ["mkdir -p /srv && printf '[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n' > /srv/Cargo.lock"]
  }}
  provisioner "hcp-sbom" {{
    auto_generate = true
    sbom_name     = "cyclonedx-of-d"
    destination   = "kept.json"
  }}
  provisioner "hcp-sbom" {{
    auto_generate = true
    scanner_args  = ["-o", "spdx-json"]
    sbom_name     = "spdx-of-d"
  }}
  {last}
}}
"#
    )
}

/// What the registry has of the run's SBOMs.
fn in_registry(world: &World) -> Vec<(String, String)> {
    let list = world.json(&["sboms", "list", "images", "run-1"]);
    let list = list.as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    list.map(|one| (text(&one["name"]), text(&one["format"]))).collect()
}

#[test]
fn sboms_are_published_with_their_build() {
    require!(docker());
    with_both(|world| {
        world.write("images.pkr.hcl", &template(""));
        world.build("images.pkr.hcl", "run-1");
        let wanted = [("cyclonedx-of-d", "CYCLONEDX"), ("spdx-of-d", "SPDX")];
        let wanted = wanted.map(|(name, format)| (name.to_owned(), format.to_owned()));
        assert_eq!(in_registry(world), wanted);
        let name = "-name=cyclonedx-of-d";
        let got = world.ok(&["registry", "sboms", "get", "images", "run-1", name]);
        let kept = std::fs::read_to_string(world.path().join("kept.json")).expect("a copy");
        assert_eq!(got.trim_end(), kept.trim_end());
        assert!(kept.contains("pkg:cargo/serde@1.0.0"), "{kept}");
    });
}

#[test]
fn sboms_of_what_could_not_be_published_are_kept_with_it() {
    require!(docker());
    let mut world = World::served();
    let wait = "provisioner \"shell-local\" {\n    inline = [\"until [ -e go ]; do sleep 0.1; \
                done\"]\n  }";
    world.write("images.pkr.hcl", &template(wait));
    let env = [("HCP_PACKER_BUILD_FINGERPRINT", "run-1")];
    let build = world.spawn_build("images.pkr.hcl", &env);
    world.wait_for("images", "run-1", "docker.d", "BUILD_RUNNING");
    world.kill_server();
    world.write("go", "");
    let run = finish(build);
    assert_eq!(run.code, Some(75), "{}{}", run.stdout, run.stderr);
    world.start_server();
    let said = world.ok(&["registry", "push"]);
    assert!(said.contains("docker.d: Published metadata to"), "{said}");
    let names: Vec<String> = in_registry(&world).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["cyclonedx-of-d", "spdx-of-d"]);
}

#[test]
fn a_build_is_kept_where_its_sbom_does_not_fit() {
    require!(docker());
    let disk = require!(Disk::mount(4));
    let mut world = World::served();
    let state = disk.path().display().to_string();
    // As much as the disk has, and a small one.
    let steps = r#"provisioner "shell" {
    inline = [
      "echo '{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.6\", \"serialNumber\": \"' > /large.json",
      "head -c 5000000 /dev/zero | tr '\\0' x >> /large.json",
      "echo '\"}' >> /large.json",
      "tr -d '\n' < /large.json > /one-line.json",
    ]
  }
  provisioner "hcp-sbom" {
    source    = "/one-line.json"
    sbom_name = "large-one"
  }
  provisioner "shell-local" {
    inline = ["until [ -e go ]; do sleep 0.1; done"]
  }"#;
    world.write("images.pkr.hcl", &template(steps));
    let env = [("HCP_PACKER_BUILD_FINGERPRINT", "run-1"), ("INGOT_STATE_DIR", state.as_str())];
    let build = world.spawn_build("images.pkr.hcl", &env);
    world.wait_for("images", "run-1", "docker.d", "BUILD_RUNNING");
    world.kill_server();
    world.write("go", "");
    let run = finish(build);
    assert_eq!(run.code, Some(75), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("the SBOM large-one could not be kept: "), "{}", run.stdout);
    let files = || names(&disk.path().join("unpublished"));
    // The build, and the two SBOMs that fit; nothing that was begun.
    let kept = files();
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert_eq!(kept.iter().filter(|name| name.ends_with(".sbom")).count(), 2, "{kept:?}");
    // What is listed is small, whatever belongs to it.
    let listed = world.ingot_with(&["registry", "push", "-list", "-json"], &env[1..]);
    assert!(listed.stdout.len() < 10_000 && listed.stdout.contains("large-one"), "{listed:?}");
    world.start_server();
    let pushed = world.ingot_with(&["registry", "push"], &env[1..]);
    assert_eq!(pushed.code, Some(0), "{}{}", pushed.stdout, pushed.stderr);
    assert!(pushed.stdout.contains("published without the SBOM large-one"), "{}", pushed.stdout);
    let names: Vec<String> = in_registry(&world).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["cyclonedx-of-d", "spdx-of-d"]);
    assert_eq!(files(), [""; 0]);
}
