//! What a registry will never take: found before it is built, where it can be, else told, and not
//! kept as if another try could mend it.

use crate::publish::{FILES, build_of};
use crate::world::{World, finish, run, with_both};
use ingot_test_support::{BASE, docker, require};

/// A build that writes `target` when the file `go` is there.
const RACE: &str = r#"
variable "target" {}
variable "go" {}
hcp_packer_registry {
  bucket_name = "race"
}
source "file" "k" {
  content = "x"
  target  = var.target
}
build {
  sources = ["source.file.k"]
  provisioner "shell-local" {
    inline = ["until [ -e ${var.go} ]; do sleep 0.1; done"]
  }
}
"#;

#[test]
fn labels_are_checked_before_anything_is_built() {
    with_both(|world| {
        world.write("from.txt", "b");
        let many: String = (0..101).map(|n| format!("l{n} = \"\"\n")).collect();
        let long = format!("notes = \"{}\"", "x".repeat(1025));
        for (labels, said) in [
            (long, "`notes` in build_labels is 1025 bytes long, and the registry takes 1024"),
            (many, "build_labels has 101 labels, and the registry takes 100"),
        ] {
            world.write("files.pkr.hcl", &FILES.replace("stage = \"test\"", &labels));
            let run = world.ingot(&["build", "files.pkr.hcl"]);
            assert_eq!(run.code, Some(1), "{}", run.stdout);
            assert!(run.stdout.contains("Nothing is built"), "{}", run.stdout);
            assert!(run.stdout.contains(said), "{}", run.stdout);
            assert!(!world.path().join("b.txt").exists(), "nothing was built");
        }
        assert_eq!(world.json(&["buckets", "list"]), serde_json::json!([]));
    });
}

#[test]
fn the_same_build_of_two_machines_is_published_once() {
    with_both(|world| {
        world.write("race.pkr.hcl", RACE);
        let start = |target: &str, go: &str| {
            let vars = [format!("-var=target={target}"), format!("-var=go={go}")];
            let mut command = world.command(&["build", &vars[0], &vars[1], "race.pkr.hcl"]);
            command
                .env("HCP_PACKER_BUILD_FINGERPRINT", "race-1")
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped());
            command.spawn().expect("the program can be run")
        };
        let slow = start("slow.txt", "go-slow");
        world.wait_for("race", "race-1", "file.k", "BUILD_RUNNING");
        world.write("go-fast", "");
        let fast = finish(start("fast.txt", "go-fast"));
        assert_eq!(fast.code, Some(0), "{}{}", fast.stdout, fast.stderr);
        world.write("go-slow", "");
        let slow = finish(slow);
        assert_eq!(slow.code, Some(1), "{}{}", slow.stdout, slow.stderr);
        let said = "built, but it cannot be published: another run has published file.k of this \
                    version";
        assert!(slow.stdout.contains(said), "{}", slow.stdout);
        assert!(slow.stdout.contains("the registry does not know it: slow.txt (.)"));
        assert!(world.path().join("slow.txt").exists(), "what was built is there");
        assert_eq!(world.json(&["push", "-list"]), serde_json::json!([]), "nothing is kept");
        let version = world.json(&["versions", "show", "race", "race-1"]);
        let artifacts = &build_of(&version, "file.k")["artifacts"];
        assert_eq!(artifacts[0]["external_identifier"], "fast.txt");
    });
}

#[test]
fn what_is_refused_for_good_has_failed() {
    with_both(|world| {
        // The directory of a file is its region, and no registry takes one as long as this.
        let directory = vec!["f".repeat(250); 5].join("/");
        let template =
            FILES.replace("target = \"b.txt\"", &format!("target = \"{directory}/b.txt\""));
        world.write("files.pkr.hcl", &template);
        world.write("from.txt", "b");
        let env = [("HCP_PACKER_BUILD_FINGERPRINT", "long-1")];
        let run = world.ingot_with(&["build", "files.pkr.hcl"], &env);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        let said = "built, but it cannot be published: the registry refuses it: a region must not \
                    be longer than 1024 bytes";
        assert!(run.stdout.contains(said), "{}", run.stdout);
        assert!(run.stdout.contains("the registry does not know it: b.txt"), "{}", run.stdout);
        assert!(world.path().join(&directory).join("b.txt").exists(), "what was built is there");
        assert_eq!(world.json(&["push", "-list"]), serde_json::json!([]), "nothing is kept");
        let version = world.json(&["versions", "show", "files", "long-1"]);
        assert_eq!(build_of(&version, "file.b")["status"], "BUILD_FAILED");
        assert_eq!(build_of(&version, "file.a")["status"], "BUILD_DONE");
    });
}

#[test]
fn a_build_outlives_what_it_was_built_from() {
    let base = "hcp_packer_registry {\n  bucket_name = \"base\"\n}\nsource \"file\" \"b\" {\n  \
                content = \"x\"\n  target = \"base.txt\"\n}\nbuild {\n  sources = \
                [\"source.file.b\"]\n}\n";
    let child = r#"
data "hcp-packer-artifact" "base" {
  bucket_name  = "base"
  channel_name = "stable"
  platform     = "packer.file"
  region       = "."
}
hcp_packer_registry {
  bucket_name = "child"
}
source "file" "c" {
  source = data.hcp-packer-artifact.base.external_identifier
  target = "child.txt"
}
build {
  sources = ["source.file.c"]
  provisioner "shell-local" {
    inline = ["until [ -e go ]; do sleep 0.1; done"]
  }
}
"#;
    with_both(|world| {
        world.write("base.pkr.hcl", base);
        world.write("child.pkr.hcl", child);
        world.build("base.pkr.hcl", "base-1");
        let publish = |fingerprint: &str, meanwhile: &dyn Fn()| {
            world.ok(&["registry", "channels", "create", "base", "stable", "-assign=base-1"]);
            let _ = std::fs::remove_file(world.path().join("go"));
            let env = [("HCP_PACKER_BUILD_FINGERPRINT", fingerprint)];
            let build = world.spawn_build("child.pkr.hcl", &env);
            world.wait_for("child", fingerprint, "file.c", "BUILD_RUNNING");
            world.ok(&["registry", "channels", "delete", "base", "stable"]);
            meanwhile();
            world.write("go", "");
            let run = finish(build);
            assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
            let all = format!("{}{}", run.stdout, run.stderr);
            let version = world.json(&["versions", "show", "child", fingerprint]);
            (
                all,
                build_of(&version, "file.c")["parent_version_id"].clone(),
                version["name"].clone(),
            )
        };
        let (said, _, name) = publish("child-1", &|| {});
        assert!(said.contains("the build is published without it"), "{said}");
        assert_eq!(name, "v1");
        let parents = world.json(&["ancestry", "child"])["parents"].clone();
        assert_eq!(parents[0]["version_fingerprint"], "base-1", "{parents:#}");

        let (said, _, name) = publish("child-2", &|| {
            world.ok(&["registry", "versions", "delete", "base", "base-1"]);
        });
        assert!(said.contains("the build is published without a parent"), "{said}");
        assert_eq!(name, "v2");
        let parents = world.json(&["ancestry", "child"])["parents"].clone();
        assert_eq!(parents, serde_json::json!([]));
    });
}

#[test]
fn labels_of_plugins_are_cut() {
    require!(docker());
    let world = World::local();
    let tags: Vec<String> = (0..30).map(|n| format!("\"{n:050}\"")).collect();
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
    repository = "ingot-registry-labels"
    tags       = [{}]
  }}
}}
"#,
            tags.join(", ")
        ),
    );
    let run = world.build("image.pkr.hcl", "image-1");
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(all.contains("Warning: the label `tags` is cut to"), "{all}");
    let version = world.json(&["versions", "show", "images", "image-1"]);
    let tags = build_of(&version, "docker.d")["labels"]["tags"].as_str().expect("tags").to_owned();
    assert!(tags.len() <= 1024 && tags.len() > 900, "{tags}");
    for tag in tags.split(',') {
        // Whole ones only.
        assert_eq!(tag.len(), "ingot-registry-labels:".len() + 50, "{tag}");
    }
    for n in 0..30 {
        let name = format!("ingot-registry-labels:{n:050}");
        let _ = std::process::Command::new("docker").args(["rmi", "-f", &name]).output();
    }
}

#[test]
fn a_mistake_in_a_path_makes_no_registry() {
    let world = World::local();
    let missing = world.dir.path().join("typo/registry.db");
    let mut command = world.command(&["registry", "buckets", "list"]);
    let listed = run(command.env("INGOT_REGISTRY", &missing).output().unwrap());
    assert_eq!(listed.code, Some(1), "{listed:?}");
    assert!(listed.stderr.contains("there is no directory"), "{listed:?}");
    assert!(!missing.parent().unwrap().exists());
    for slip in ["locl", "registry.example.com:7420"] {
        let mut command = world.command(&["registry", "buckets", "list"]);
        let listed = run(command.env("INGOT_REGISTRY", slip).output().unwrap());
        assert_eq!(listed.code, Some(1), "{listed:?}");
        assert!(listed.stderr.contains("https://"), "{listed:?}");
        assert!(!world.path().join(slip).exists(), "{slip}");
    }
    // A directory that is there does not make a file one.
    world.write("plan.json", r#"{ "format_version": "1.2", "resource_changes": [] }"#);
    let typed = world.path().join("typed.db");
    let typed = typed.to_str().expect("a plain name");
    for args in [
        &["registry", "buckets", "list"][..],
        &["registry", "versions", "show", "web", "v1"],
        &["registry", "channels", "history", "web", "production"],
        &["registry", "channels", "assign", "web", "production", "v1"],
        &["registry", "artifacts", "find", "ami-1"],
        &["registry", "ancestry"],
        &["registry", "export", "e.json"],
        &["registry", "check", "plan.json"],
        &["diff", "registry:web:production", "web@v1"],
    ] {
        let refused = world.ingot_with(args, &[("INGOT_REGISTRY", typed)]);
        assert!(refused.code.is_some_and(|code| code > 0), "{args:?}: {}", refused.stdout);
        let said = format!("INGOT_REGISTRY names {typed}, where there is no registry");
        assert!(refused.stderr.contains(&said), "{args:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("`ingot registry buckets create`"), "{}", refused.stderr);
        assert!(!std::path::Path::new(typed).exists(), "{args:?}");
    }
    // Nor does a file that is empty.
    world.write("empty.db", "");
    let empty = world.path().join("empty.db");
    let empty = empty.to_str().expect("a plain name");
    let refused = world.ingot_with(&["registry", "buckets", "list"], &[("INGOT_REGISTRY", empty)]);
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    let said = format!("INGOT_REGISTRY names {empty}, where there is no registry");
    assert!(refused.stderr.contains(&said), "{}", refused.stderr);
    assert_eq!(std::fs::metadata(empty).expect("it is there").len(), 0);
    let create = ["registry", "buckets", "create", "web"];
    let created = world.ingot_with(&create, &[("INGOT_REGISTRY", typed)]);
    assert_eq!(created.code, Some(0), "{}", created.stderr);
    let database = world.dir.path().join("nosuch.db").display().to_string();
    for command in [
        &["sign-in-link"][..],
        &["backup", "b.zst"],
        &["principal", "create", "ci"],
        &["principal", "list"],
        &["principal", "delete", "ci"],
        &["project", "create", "shop"],
        &["project", "list"],
        &["webhook", "list"],
        &["webhook", "create", "https://example.com/"],
        &["run-task", "show"],
        &["audit"],
    ] {
        let args = [&["registry"], command, &["-database-url", &database]].concat();
        let refused = run(world.command(&args).output().unwrap());
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("there is no registry at"), "{refused:?}");
        assert!(refused.stderr.contains("`ingot registry serve` creates one"), "{refused:?}");
        assert!(!std::path::Path::new(&database).exists(), "{command:?}");
    }
}

#[test]
fn a_wrong_project_is_not_blamed_on_the_role() {
    let world = World::served();
    let other = [("HCP_PROJECT_ID", "6f3d6a1e-0000-4000-8000-000000000000")];
    let run = world.ingot_with(&["registry", "buckets", "list"], &other);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("HCP_ORGANIZATION_ID and HCP_PROJECT_ID name a project"), "{said}");
}
