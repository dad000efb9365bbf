//! What `build -changed-only` takes for a change, and what it then builds.

use std::process::Command;

use crate::fingerprint::{GIT, git};
use crate::plan::{WEB, state, web};
use crate::world::World;
use ingot_test_support::{BASE, docker, require};

#[test]
fn a_selection_of_nothing_is_not_taken_for_nothing_changed() {
    let world = World::local();
    web(&world);
    world.build("web.pkr.hcl", "one");
    for selection in ["-only=file.wbe", "-except=*"] {
        let run = world.ingot(&["build", "-changed-only", selection, "web.pkr.hcl"]);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.code, Some(1), "{said}");
        assert!(said.contains("There is nothing to build: no build has a source that"), "{said}");
        assert!(!said.contains("Nothing has changed"), "{said}");
    }
}

#[test]
fn what_changed_without_a_commit_is_built_too() {
    let world = World::local();
    web(&world);
    git(&world, &["init", "-q"]);
    git(&world, &["add", "web.pkr.hcl", "check.sh"]);
    git(&world, &["commit", "-qm", "First"]);
    let sha = git(&world, &["rev-parse", "HEAD"]);
    let build = |args: &[&str], code: i32| {
        let run = world.ingot_with(&[&["build"], args, &["web.pkr.hcl"]].concat(), &[GIT]);
        assert_eq!(run.code, Some(code), "{}{}", run.stdout, run.stderr);
        format!("{}{}", run.stdout, run.stderr)
    };
    build(&["-changed-only"], 0);
    assert!(build(&["-changed-only"], 0).contains("Nothing has changed"));
    let short = &sha[..12];
    for (var, told) in [
        ("-var=who=web", format!("fingerprint {sha}")),
        ("-var=who=shop", format!("a new version beside {short}")),
    ] {
        let planned = world.ingot_with(&["plan", var, "web.pkr.hcl"], &[GIT]);
        assert!(planned.stdout.contains(&told), "{}{}", planned.stdout, planned.stderr);
    }
    let said = build(&["-changed-only", "-var=who=shop"], 0);
    let told = format!("commit {sha} is complete: what is built goes to the version {short}-");
    assert!(said.contains(&told), "{said}");
    assert!(build(&["-changed-only", "-var=who=shop"], 0).contains("Nothing has changed"));
    let versions = world.json(&["versions", "list", "web"]);
    assert_eq!(versions.as_array().map(Vec::len), Some(2), "{versions:#}");
    assert_eq!(versions[0]["name"], "v2", "{versions:#}");
    let said = build(&["-var=who=another"], 1);
    assert!(said.contains("with INGOT_BUILD_FINGERPRINT=git, -changed-only builds what"), "{said}");
}

#[test]
fn what_the_registry_block_publishes_counts() {
    let world = World::local();
    web(&world);
    world.build("web.pkr.hcl", "one");
    let changed = |from: &str, to: &str, option: &str| {
        world.write("web.pkr.hcl", &WEB.replace(from, to));
        let why = format!("{option} of hcp_packer_registry");
        assert_eq!(state(&world, &[]), ("changed".into(), vec![why]));
    };
    changed("stage = \"test\"", "stage = \"live\"", "build_labels");
    changed("team = \"shop\"", "team = \"blog\"", "bucket_labels");
    let name = "bucket_name   = \"web\"";
    changed(name, &format!("{name}\n  description = \"The shop\""), "description");

    world.ok(&["registry", "channel", "create", "web", "prod"]);
    changed(name, &format!("{name}\n  channels = [\"prod\"]"), "channels");
    let said = world.ok(&["build", "-changed-only", "web.pkr.hcl"]);
    let why = "file.web: changed since v1: channels of hcp_packer_registry";
    assert!(said.contains(why), "{said}");
    let channel = world.json(&["channels", "show", "web", "prod"]);
    assert_eq!(channel["version"]["name"], "v2", "{channel:#}");
    assert_eq!(state(&world, &[]), ("unchanged".into(), Vec::new()));
}

#[test]
fn tests_count_and_so_do_those_that_were_skipped() {
    require!(docker());
    let world = World::local();
    let template = r#"
hcp_packer_registry {
  bucket_name = "web"
}
source "docker" "web" {
  image  = "BASE"
  pull   = false
  commit = true
}
build {
  sources = ["source.docker.web"]
}
"#;
    world.write("web.pkr.hcl", &template.replace("BASE", BASE));
    let test = |command: &str, options: &str| {
        let text = format!("test \"it runs\" {{\n  command \"{command}\" {{{options}}}\n}}\n");
        world.write("web.ingot.hcl", &text);
    };
    let build = |args: &[&str]| {
        let run = world.ingot(&[&["build", "-changed-only"], args, &["web.pkr.hcl"]].concat());
        (run.code, format!("{}{}", run.stdout, run.stderr))
    };
    let unchanged = |args: &[&str]| {
        let (code, said) = build(args);
        assert!(code == Some(0) && said.contains("Nothing has changed"), "{said}");
    };
    test("true", "");
    assert_eq!(build(&["-skip-tests"]).0, Some(0));
    unchanged(&["-skip-tests"]);
    let (code, said) = build(&[]);
    let why = "docker.web: changed since v1: its tests, which were skipped";
    assert!(code == Some(0) && said.contains(why), "{said}");
    unchanged(&[]);
    test("true", " timeout = \"9s\" ");
    unchanged(&[]);
    test("false", "");
    unchanged(&["-skip-tests"]);
    let (code, said) = build(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("docker.web: changed since v2: its tests\n"), "{said}");
    remove_images(&world, &["v1", "v2"]);
}

/// Removes the images that were published as versions of `web`.
fn remove_images(world: &World, versions: &[&str]) {
    for version in versions {
        let version = world.json(&["versions", "show", "web", version]);
        let image = version["builds"][0]["artifacts"][0]["external_identifier"].as_str();
        let image = image.unwrap_or_else(|| panic!("{version:#}"));
        let _ = Command::new("docker").args(["rmi", "-f", image]).output();
    }
}

/// The text that stands for it has not the form of a mode.
#[test]
fn tests_with_a_sensitive_value_count() {
    require!(docker());
    let world = World::local();
    let template = r#"
variable "mode" {
  default   = "0644"
  sensitive = true
}
hcp_packer_registry {
  bucket_name = "web"
}
source "docker" "web" {
  image  = "BASE"
  pull   = false
  commit = true
}
build {
  sources = ["source.docker.web"]
}
"#;
    world.write("web.pkr.hcl", &template.replace("BASE", BASE));
    let test = |owner: &str, more: &str| {
        let check =
            format!("file \"/etc/passwd\" {{\n    mode = var.mode\n    owner = \"{owner}\"\n  }}");
        world.write("web.ingot.hcl", &format!("test \"it is\" {{\n  {check}\n{more}}}\n"));
    };
    test("root", "");
    world.build("web.pkr.hcl", "one");
    assert_eq!(state(&world, &[]), ("unchanged".into(), Vec::new()));
    let changed = ("changed".to_owned(), vec!["its tests".to_owned()]);
    test("nobody", "");
    assert_eq!(state(&world, &[]), changed);
    test("root", "  file \"/nothing\" {\n    mode = var.mode\n  }\n");
    assert_eq!(state(&world, &[]), changed);
    remove_images(&world, &["v1"]);
}
