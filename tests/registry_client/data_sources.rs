//! Templates that build on what is in a registry.

use crate::publish::build_of;
use crate::world::{World, with_both};

const BASE: &str = r#"
hcp_packer_registry {
  bucket_name = "base"
}
source "file" "b" {
  content = "base"
  target  = "base.txt"
}
build {
  sources = ["source.file.b"]
}
"#;

const CHILD: &str = r#"
data "hcp-packer-version" "base" {
  bucket_name  = "base"
  channel_name = "stable"
}
data "hcp-packer-artifact" "base" {
  bucket_name         = "base"
  version_fingerprint = data.hcp-packer-version.base.fingerprint
  platform            = "packer.file"
  region              = "."
}
hcp_packer_registry {
  bucket_name  = "child"
  build_labels = { from = data.hcp-packer-version.base.name }
}
source "file" "c" {
  source = data.hcp-packer-artifact.base.external_identifier
  target = "child.txt"
}
build {
  sources = ["source.file.c"]
}
"#;

/// The same by the older names.
const OLD_CHILD: &str = r#"
data "hcp-packer-iteration" "base" {
  bucket_name = "base"
  channel     = "stable"
}
data "hcp-packer-image" "base" {
  bucket_name    = "base"
  iteration_id   = data.hcp-packer-iteration.base.id
  cloud_provider = "packer.file"
  region         = "."
}
hcp_packer_registry {
  bucket_name  = "old-child"
  build_labels = { from = "${data.hcp-packer-iteration.base.incremental_version}" }
}
source "file" "c" {
  source = data.hcp-packer-image.base.id
  target = "old-child.txt"
}
build {
  sources = ["source.file.c"]
}
"#;

fn base(world: &World) {
    world.write("base.pkr.hcl", BASE);
    world.build("base.pkr.hcl", "base-1");
    world.ok(&["registry", "channels", "create", "base", "stable", "-assign=v1"]);
}

#[test]
fn ancestry_fills_by_itself() {
    with_both(|world| {
        base(world);
        world.write("child.pkr.hcl", CHILD);
        world.write("old.pkr.hcl", OLD_CHILD);
        // Offline and without a registry it is valid.
        let mut offline = world.command(&["validate", "child.pkr.hcl"]);
        offline.env_remove("INGOT_REGISTRY").env_remove("HCP_CLIENT_ID");
        let run = crate::world::run(offline.output().expect("the program can be run"));
        assert_eq!(run.code, Some(0), "{}", run.stdout);

        world.build("child.pkr.hcl", "child-1");
        let old = world.build("old.pkr.hcl", "old-1");
        assert!(old.stdout.contains("`hcp-packer-image` is deprecated"), "{}", old.stdout);
        let version = world.json(&["versions", "show", "child", "child-1"]);
        assert_eq!(build_of(&version, "file.c")["labels"]["from"], "v1");
        let version = world.json(&["versions", "show", "old-child", "old-1"]);
        assert_eq!(build_of(&version, "file.c")["labels"]["from"], "1");

        let tree = world.json(&["ancestry", "base"]);
        let children = tree["children"].as_array().expect("children");
        assert_eq!(children.len(), 2, "{tree:#}");
        for child in children {
            assert_eq!(child["from"]["channel_name"], "stable", "{tree:#}");
            assert_eq!(child["from"]["status"], "UP_TO_DATE", "{tree:#}");
        }
        // A newer base puts them out of date.
        world.build("base.pkr.hcl", "base-2");
        world.ok(&["registry", "channels", "assign", "base", "stable", "v2"]);
        let shown = world.ok(&["registry", "ancestry"]);
        let expected = "base v2\n\
                        ├── child v1 from base v1 (channel stable) OUT OF DATE: the channel is at v2\n\
                        └── old-child v1 from base v1 (channel stable) OUT OF DATE: the channel is at v2\n";
        assert_eq!(shown, expected);
        let shown = world.ok(&["registry", "ancestry", "child"]);
        let expected =
            "child v1\n↑ from base v1 (channel stable) OUT OF DATE: the channel is at v2\n";
        assert_eq!(shown, expected);
    });
}

#[test]
fn what_cannot_be_built_on_is_refused() {
    with_both(|world| {
        world.write("child.pkr.hcl", CHILD);
        let said = world.fails(&["build", "child.pkr.hcl"]);
        assert!(said.contains("data.hcp-packer-version.base could not be fetched"), "{said}");
        base(world);
        world.write("from.txt", "b");

        // Revoked, with its channel left where it is.
        let revoke = ["registry", "revoke", "base", "v1", "-reason=it leaks", "-rollback=false"];
        world.ok(&revoke);
        let said = world.fails(&["build", "child.pkr.hcl"]);
        assert!(said.contains("is revoked and cannot be built on: it leaks"), "{said}");
        assert!(said.contains("its only complete version is revoked: build a new one"), "{said}");
        assert!(said.contains("`ingot registry restore base VERSION`"), "{said}");
        // The registry's own channel has none then, and cannot be assigned one.
        world.write("latest.pkr.hcl", &CHILD.replace("\"stable\"", "\"latest\""));
        let said = world.fails(&["build", "latest.pkr.hcl"]);
        assert!(said.contains("the channel latest of bucket base has no version"), "{said}");
        assert!(said.contains("its only complete version is revoked: build a new one"), "{said}");
        assert!(!said.contains("channel assign base latest"), "{said}");
        world.ok(&["registry", "restore", "base", "v1"]);
        world.build("child.pkr.hcl", "child-1");

        // Incomplete.
        world.ok(&["registry", "versions", "create", "base", "half"]);
        let half = CHILD.replace("data.hcp-packer-version.base.fingerprint", "\"half\"");
        world.write("half.pkr.hcl", &half);
        let said = world.fails(&["build", "half.pkr.hcl"]);
        assert!(said.contains("version half of bucket base is incomplete: it has no"), "{said}");

        // Another region.
        let moon = CHILD.replace("region              = \".\"", "region = \"moon\"");
        world.write("moon.pkr.hcl", &moon);
        let said = world.fails(&["build", "moon.pkr.hcl"]);
        assert!(said.contains("no artifact for packer.file in \"moon\""), "{said}");
        assert!(said.contains("packer.file (.)"), "{said}");

        // A channel without a version.
        world.ok(&["registry", "channels", "create", "base", "empty"]);
        world.write("empty.pkr.hcl", &CHILD.replace("\"stable\"", "\"empty\""));
        let said = world.fails(&["build", "empty.pkr.hcl"]);
        assert!(said.contains("the channel empty of bucket base has no version"), "{said}");
        assert!(said.contains("`ingot registry channel assign base empty v1`"), "{said}");
    });
}

#[test]
fn a_build_that_is_done_can_be_used_before_its_version_is_complete() {
    with_both(|world| {
        base(world);
        let create = ["registry", "versions", "create", "base", "half"];
        world.ok(&[&create[..], &["-build=file.b", "-build=file.other"]].concat());
        let record = ["registry", "artifacts", "create", "base", "half", "file.b"];
        world.ok(&[&record[..], &["-platform=packer.file", "-region=.", "-id=base.txt"]].concat());
        let half = CHILD.replace("data.hcp-packer-version.base.fingerprint", "\"half\"");
        world.write("half.pkr.hcl", &half);
        let run = world.build("half.pkr.hcl", "child-1");
        let warning = "Warning: version half of bucket base is incomplete: other builds of it are \
                       missing. file.b is done, and its artifact base.txt is taken";
        assert!(run.stdout.contains(warning), "{}", run.stdout);
        let older = world.json(&["versions", "show", "base", "half"]);
        let older = OLD_CHILD.replace(
            "data.hcp-packer-iteration.base.id",
            &format!("\"{}\"", older["id"].as_str().expect("an id")),
        );
        world.write("older.pkr.hcl", &older);
        world.build("older.pkr.hcl", "child-1");
        let other =
            half.replace("platform            =", "component_type = \"file.other\"\nplatform =");
        world.write("other.pkr.hcl", &other);
        let said = world.fails(&["build", "other.pkr.hcl"]);
        assert!(said.contains("incomplete: it has no artifact of file.other"), "{said}");
    });
}

#[test]
fn descendants_are_revoked_with_their_parent() {
    with_both(|world| {
        base(world);
        world.write("child.pkr.hcl", CHILD);
        world.build("child.pkr.hcl", "child-1");
        world.build("base.pkr.hcl", "base-2");
        world.ok(&["registry", "channels", "assign", "base", "stable", "v2"]);
        world.ok(&["registry", "channels", "create", "child", "live", "-assign=v1"]);

        world.ok(&["registry", "revoke", "base", "v2"]);
        // The channel goes back to the last valid version.
        let channel = world.json(&["channels", "show", "base", "stable"]);
        assert_eq!(channel["version"]["name"], "v1");
        let child = world.json(&["versions", "show", "child", "v1"]);
        assert_eq!(child["status"], "VERSION_ACTIVE", "it was built from v1");

        world.ok(&["registry", "revoke", "base", "v1", "-descendants=false"]);
        let child = world.json(&["versions", "show", "child", "v1"]);
        assert_eq!(child["status"], "VERSION_ACTIVE");
        world.ok(&["registry", "restore", "base", "v1"]);

        world.ok(&["registry", "revoke", "base", "v1", "-reason=leak"]);
        let child = world.json(&["versions", "show", "child", "v1"]);
        assert_eq!(child["status"], "VERSION_REVOKED");
        assert_eq!(child["revocation_type"], "INHERITED");
        assert_eq!(child["revocation_inherited_from"]["bucket_name"], "base");
        world.ok(&["registry", "restore", "base", "v1"]);
        let child = world.json(&["versions", "show", "child", "v1"]);
        assert_eq!(child["status"], "VERSION_ACTIVE");

        // Revoked in two ways, and taken back one by one.
        world.ok(&["registry", "revoke", "base", "v1"]);
        let said = world.ok(&["registry", "revoke", "child", "v1"]);
        assert!(said.contains("An earlier revocation holds, inherited from base v1."), "{said}");
        let said = world.ok(&["registry", "restore", "child", "v1"]);
        assert!(said.contains("is still revoked, inherited from base v1"), "{said}");
        let said = world.ok(&["registry", "restore", "child", "v1"]);
        assert!(said.contains("is valid again"), "{said}");
        world.ok(&["registry", "restore", "base", "v1"]);

        let said = world.ok(&["registry", "revoke", "base", "v1", "-at=2999-01-01"]);
        assert!(said.contains("will be revoked at 2999-01-01 00:00:00Z"), "{said}");
        let version = world.json(&["versions", "show", "base", "v1"]);
        assert_eq!(version["status"], "VERSION_REVOCATION_SCHEDULED");
    });
}

#[test]
fn the_example_works() {
    let world = World::local();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/registry");
    world.build(&format!("{examples}/base"), "first");
    world.ok(&["registry", "channels", "create", "example-base", "production", "-assign=v1"]);
    world.build(&format!("{examples}/app"), "app");
    let shown = world.ok(&["registry", "ancestry", "example-base"]);
    let expected =
        "example-base v1\n└── example-app v1 from example-base v1 (channel production)\n";
    assert_eq!(shown, expected);
}

#[test]
fn several_images_in_one_region_are_listed() {
    with_both(|world| {
        let second = "source \"file\" \"second\" {\n  content = \"second\"\n  target  = \
                      \"second.txt\"\n}\n";
        let two =
            BASE.replace("[\"source.file.b\"]", "[\"source.file.b\", \"source.file.second\"]");
        let two = format!("{two}{second}");
        world.write("base.pkr.hcl", &two);
        world.build("base.pkr.hcl", "base-1");
        world.ok(&["registry", "channels", "create", "base", "stable", "-assign=v1"]);
        world.write("child.pkr.hcl", CHILD);
        let run = world.build("child.pkr.hcl", "child-1");
        let said = run.stdout + &run.stderr;
        let text = "Warning: version v1 of bucket base has 2 artifacts for packer.file in \".\", and \
                    the first is taken: ";
        assert!(said.contains(text), "{said}");
        assert!(said.contains("second.txt (file.second)"), "{said}");
        assert!(said.contains("set component_type to say which build's is meant"), "{said}");
        let named = CHILD.replace(
            "region              = \".\"",
            "region = \".\"\n  component_type = \"file.second\"",
        );
        std::fs::remove_file(world.path().join("child.txt")).expect("it was built");
        world.write("child.pkr.hcl", &named);
        let run = world.build("child.pkr.hcl", "child-2");
        assert!(!run.stdout.contains("artifacts for packer.file"), "{}", run.stdout);
        let version = world.json(&["versions", "show", "child", "child-2"]);
        assert_eq!(build_of(&version, "file.c")["source_external_identifier"], "second.txt");
    });
}
