//! Packer and Ingot publish the same templates to the same server and leave the same documents.
//!
//! Packer is what `INGOT_PEER` names, else `packer` in `PATH`. Versions before 1.12 do not know the
//! registry block outside of a build.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::world::{World, clean, run};
use ingot_test_support::{BASE, Run, docker, require};

/// Packer; without a new one a test fails where `INGOT_PEER` is set and is skipped elsewhere.
fn peer() -> Option<PathBuf> {
    let named = std::env::var_os("INGOT_PEER");
    let program = named.clone().unwrap_or_else(|| "packer".into());
    let output = Command::new(&program).arg("version").env("CHECKPOINT_DISABLE", "1").output();
    let text = output.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let text = text.unwrap_or_default();
    let version = text.lines().next().and_then(|line| line.strip_prefix("Packer v"));
    let mut numbers = version.unwrap_or_default().split('.').map(|part| part.parse().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if (major, minor) >= (1, 12) {
        return Some(program.into());
    }
    assert!(named.is_none(), "INGOT_PEER is no Packer of 1.12 or later");
    eprintln!("skipped: there is no Packer of 1.12 or later to compare with (set INGOT_PEER)");
    None
}

impl World {
    /// Runs Packer as [`World::ingot_with`] runs Ingot.
    fn packer(&self, program: &PathBuf, args: &[&str], env: &[(&str, &str)]) -> Run {
        let mut command = clean(Command::new(program), self.path());
        command.args(args).envs(self.env().iter().map(|(name, value)| (name, value)));
        run(command.envs(env.iter().copied()).output().expect("Packer can be run"))
    }
}

/// A document without what differs from run to run, and what says who made it.
fn steady(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, value)| {
                // One writes down what has no value, the other not.
                let volatile = ["id", "version_id", "packer_run_uuid", "author_id", "href", "tool"];
                !volatile.contains(&name.as_str()) && !name.ends_with("_at") && !value.is_null()
            });
            let kept = kept.map(|(name, value)| (name.clone(), steady(value)));
            // In one order: what holds metadata keeps that of its maker.
            kept.collect::<BTreeMap<_, _>>().into_iter().collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(steady).collect();
            // Packer makes its builds known in any order.
            items.sort_by_key(|item| item["component_type"].to_string());
            items.into()
        }
        // Images are made anew by each.
        Value::String(text) if text.starts_with("sha256:") => json!("sha256:"),
        other => other.clone(),
    }
}

/// Makes the directory a repository, if there is `git`.
fn commit(world: &World) {
    let git = |args: &[&str]| {
        let mut command = clean(Command::new("git"), world.path());
        let who = ["-c", "user.name=A. Uthor", "-c", "user.email=a@example.com"];
        command.args(who).args(args).output().is_ok_and(|output| output.status.success())
    };
    world.write("committed.txt", "x");
    if !git(&["init", "-q"]) {
        eprintln!("without git, the metadata of the repository is not compared");
        return;
    }
    assert!(git(&["add", "committed.txt"]) && git(&["commit", "-qm", "First"]));
}

/// What both leave of a template, whose buckets are called by `@TOOL@`.
fn compare(template: &str, args: &[&str], buckets: &[&str], extra: &[(&str, &str)]) {
    let program = require!(peer());
    let world = World::served();
    commit(&world);
    let mut left = Vec::new();
    for tool in ["packer", "ingot"] {
        std::fs::create_dir_all(world.path().join("out")).expect("a directory");
        world.write("t.pkr.hcl", &template.replace("@TOOL@", tool));
        world.write("from.txt", "b");
        let env = [extra, &[("HCP_PACKER_BUILD_FINGERPRINT", "same")]].concat();
        let args = [&["build", "-color=false"], args, &["t.pkr.hcl"]].concat();
        let run = match tool {
            "packer" => world.packer(&program, &args, &env),
            _ => world.ingot_with(&args, &env),
        };
        assert_eq!(run.code, Some(0), "{tool}: {}{}", run.stdout, run.stderr);
        let place = if tool == "packer" { "HCP Packer".to_owned() } else { world.name.clone() };
        let said = format!("Tracking build on {place} with fingerprint \"same\"");
        assert!(run.stdout.contains(&said), "{tool}: {}", run.stdout);
        for bucket in buckets {
            let bucket = bucket.replace("@TOOL@", tool);
            let version = world.json(&["versions", "show", &bucket, "same"]);
            let id = version["id"].as_str().expect("an id");
            let said =
                format!("Published metadata to {place} registry packer/{bucket}/versions/{id}");
            assert!(run.stdout.contains(&said), "{tool}: {}", run.stdout);
            let found = world.json(&["buckets", "show", &bucket]);
            let parents = world.json(&["ancestry", &bucket])["parents"].clone();
            let text = serde_json::to_string_pretty(&json!({
                "version": steady(&version),
                "bucket": steady(&found),
                "parents": steady(&parents),
            }));
            left.push(text.expect("JSON").replace(&format!("-{tool}"), "-TOOL"));
        }
    }
    let (theirs, ours) = left.split_at(buckets.len());
    for (theirs, ours) in theirs.iter().zip(ours) {
        let differing = |one: &str, other: &str| -> Vec<String> {
            let other: Vec<&str> = other.lines().collect();
            one.lines().filter(|line| !other.contains(line)).map(str::to_owned).collect()
        };
        let (only_theirs, only_ours) = (differing(theirs, ours), differing(ours, theirs));
        assert!(
            only_theirs.is_empty() && only_ours.is_empty(),
            "Packer: {only_theirs:#?}\nIngot: {only_ours:#?}\n{theirs}\n{ours}"
        );
    }
}

#[test]
fn files_are_published_alike() {
    let template = r#"
hcp_packer_registry {
  bucket_name   = "files-@TOOL@"
  description   = "files"
  bucket_labels = { team = "storage" }
  build_labels  = { stage = "test" }
}
variable "v" {
  default = "x"
}
source "file" "a" {
  content = var.v
  target  = "out/a.txt"
}
source "file" "b" {
  source = "from.txt"
  target = "b.txt"
}
source "null" "n" {
  communicator = "none"
}
build {
  name    = "named"
  sources = ["source.file.a", "source.null.n"]
  source "source.file.b" {
    name = "other"
  }
}
"#;
    let ci = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SHA", "abc"),
        ("GITHUB_REPOSITORY", "o/r"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_RUN_ID", "7"),
    ];
    let args = ["-var", "v=secret", "-only=*"];
    compare(template, &args, &["files-@TOOL@"], &ci);
}

#[test]
fn images_are_published_alike() {
    require!(docker());
    let template = format!(
        r#"
packer {{
  required_plugins {{
    docker = {{
      source  = "github.com/hashicorp/docker"
      version = ">= 1.0.0"
    }}
  }}
}}
hcp_packer_registry {{
  bucket_name = "image-@TOOL@"
}}
source "docker" "d" {{
  image  = "{BASE}"
  pull   = false
  commit = true
}}
build {{
  sources = ["source.docker.d"]
  post-processor "docker-tag" {{
    repository = "ingot-registry-peer-@TOOL@"
    tags       = ["one", "two"]
  }}
}}
"#
    );
    compare(&template, &[], &["image-@TOOL@"], &[]);
}

#[test]
fn each_takes_up_what_the_other_began() {
    let program = require!(peer());
    let world = World::served();
    world.write("files.pkr.hcl", crate::publish::FILES);
    world.write("from.txt", "b");
    std::fs::create_dir_all(world.path().join("out")).expect("a directory");
    for (fingerprint, packer_first) in [("packer-first", true), ("ingot-first", false)] {
        let env = [("HCP_PACKER_BUILD_FINGERPRINT", fingerprint)];
        let run_one = |packer: bool, args: &[&str]| match packer {
            true => world.packer(&program, args, &env),
            false => world.ingot_with(args, &env),
        };
        let first = run_one(packer_first, &["build", "-only=file.a", "files.pkr.hcl"]);
        assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
        assert!(first.stdout.contains("* \"file.b\": BUILD_UNSET"), "{}", first.stdout);
        let second = run_one(!packer_first, &["build", "files.pkr.hcl"]);
        assert_eq!(second.code, Some(0), "{}{}", second.stdout, second.stderr);
        // Packer takes it for an error, and ends as if there was none.
        let skipped = match packer_first {
            true => "skipping already done build \"file.a\"",
            false => "build is already done",
        };
        assert!(second.stdout.contains(skipped), "{}", second.stdout);
        let third = run_one(packer_first, &["build", "files.pkr.hcl"]);
        assert_eq!(third.code, Some(1), "{}{}", third.stdout, third.stderr);
        let said = format!("The version associated to the fingerprint {fingerprint} is complete");
        // Packer breaks its lines anywhere.
        let flat = third.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&said), "{}", third.stdout);
    }
}

#[test]
fn each_builds_on_what_the_other_published() {
    let program = require!(peer());
    let world = World::served();
    let base = "hcp_packer_registry {\n  bucket_name = \"base-@TOOL@\"\n}\nsource \"file\" \"b\" \
                {\n  content = \"x\"\n  target = \"@TOOL@-base.txt\"\n}\nbuild {\n  sources = \
                [\"source.file.b\"]\n}\n";
    let child = r#"
data "hcp-packer-version" "base" {
  bucket_name  = "base-@OTHER@"
  channel_name = "stable"
}
data "hcp-packer-artifact" "base" {
  bucket_name  = "base-@OTHER@"
  channel_name = "stable"
  platform     = "packer.file"
  region       = "."
}
hcp_packer_registry {
  bucket_name  = "child-@TOOL@"
  build_labels = {
    created = length(data.hcp-packer-version.base.created_at)
    status  = data.hcp-packer-version.base.status
    name    = data.hcp-packer-version.base.name
    labels  = jsonencode(data.hcp-packer-artifact.base.labels)
    type    = data.hcp-packer-artifact.base.component_type
  }
}
source "file" "c" {
  source = data.hcp-packer-artifact.base.external_identifier
  target = "@TOOL@-child.txt"
}
build {
  sources = ["source.file.c"]
}
"#;
    let run = |tool: &str, name: &str| {
        let env = [("HCP_PACKER_BUILD_FINGERPRINT", "same")];
        let args = ["build", "-color=false", name];
        let run = match tool {
            "packer" => world.packer(&program, &args, &env),
            _ => world.ingot_with(&args, &env),
        };
        assert_eq!(run.code, Some(0), "{tool} {name}: {}{}", run.stdout, run.stderr);
    };
    for tool in ["packer", "ingot"] {
        world.write("base.pkr.hcl", &base.replace("@TOOL@", tool));
        run(tool, "base.pkr.hcl");
        let bucket = format!("base-{tool}");
        world.ok(&["registry", "channels", "create", &bucket, "stable", "-assign=v1"]);
    }
    let mut left = Vec::new();
    for (tool, other) in [("packer", "ingot"), ("ingot", "packer")] {
        let text = child.replace("@TOOL@", tool).replace("@OTHER@", other);
        world.write("child.pkr.hcl", &text);
        run(tool, "child.pkr.hcl");
        let bucket = format!("child-{tool}");
        let version = steady(&world.json(&["versions", "show", &bucket, "same"]));
        let parents = steady(&world.json(&["ancestry", &bucket])["parents"]);
        let text = serde_json::to_string_pretty(&json!([version, parents])).expect("JSON");
        let text = text.replace(&format!("-{tool}"), "-TOOL").replace(&format!("{tool}-"), "TOOL-");
        left.push(
            text.replace(&format!("-{other}"), "-OTHER").replace(&format!("{other}-"), "OTHER-"),
        );
    }
    assert_eq!(left[0], left[1]);
}
