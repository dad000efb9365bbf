//! What a build would do, and what changed since it was done last.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::world::{World, with_both};

/// A template with everything that a plan shows.
pub(crate) const WEB: &str = r#"
variable "who" {
  default = "web"
}
variable "token" {
  default   = "hush-hush"
  sensitive = true
}
variable "unused" {
  default = "x"
}
locals {
  greeting = "hello ${var.who} ${timestamp()}"
}
hcp_packer_registry {
  bucket_name   = "web"
  bucket_labels = { team = "shop" }
  build_labels  = { stage = "test" }
}
source "file" "web" {
  content = "${local.greeting} ${uuidv4()} ${var.token}"
  target  = "web.txt"
}
build {
  sources = ["source.file.web"]
  provisioner "shell-local" {
    name   = "check"
    script = "${path.root}/check.sh"
    execute_command = ["sh", "{{ .Script }}"]
  }
  post-processor "manifest" {
    output = "manifest.json"
  }
}
"#;

/// Writes it, and the script that it runs.
pub(crate) fn web(world: &World) {
    world.write("web.pkr.hcl", WEB);
    world.write("check.sh", "true\n");
}

fn plan(world: &World, args: &[&str]) -> Value {
    let text = world.ok(&[&["plan", "-format=json"], args, &["web.pkr.hcl"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The state of the one build, and why.
pub(crate) fn state(world: &World, args: &[&str]) -> (String, Vec<String>) {
    let plan = plan(world, args);
    let build = &plan["builds"][0];
    let reasons = build["reasons"].as_array().expect("reasons").iter();
    let reasons = reasons.map(|reason| reason.as_str().expect("text").to_owned());
    (build["state"].as_str().expect("a state").to_owned(), reasons.collect())
}

#[test]
fn a_plan_shows_what_would_be_built_and_writes_nothing() {
    let world = World::local();
    web(&world);
    let before: Vec<_> = std::fs::read_dir(world.path()).expect("it").collect();
    let plan = plan(&world, &[]);
    let after: Vec<_> = std::fs::read_dir(world.path()).expect("it").collect();
    assert_eq!(after.len(), before.len(), "{after:?}");

    assert_eq!(plan["format"], 1);
    assert_eq!(plan["template"], "web.pkr.hcl");
    assert_eq!(plan["publish"]["bucket"], "web");
    assert_eq!(plan["publish"]["bucket_labels"]["team"], "shop");
    assert_eq!(plan["publish"]["build_labels"]["stage"], "test");
    assert!(plan["publish"]["last_version"].is_null() && plan["publish"]["fingerprint"].is_null());
    let build = &plan["builds"][0];
    assert_eq!((&build["name"], &build["state"]), (&"file.web".into(), &"new".into()));
    assert_eq!(build["source"]["type"], "file");
    assert_eq!(build["source"]["name"], "web");
    assert_eq!(build["source"]["line"], 20, "{build:#}");
    assert_eq!(build["source"]["volatile"], serde_json::json!(["content"]));
    assert_eq!(build["source"]["holds_secret"], true);
    let check = &build["provisioners"][0];
    assert_eq!((&check["type"], &check["name"]), (&"shell-local".into(), &"check".into()));
    assert_eq!(check["files"][0]["sha256"], sha256sum(&world, "check.sh"));
    assert_eq!(build["post_processors"][0][0]["type"], "manifest");
    let variables = build["variables"].as_array().expect("variables");
    let names: Vec<_> = variables.iter().map(|one| one["name"].as_str().expect("text")).collect();
    assert_eq!(names, ["token", "who"]);
    assert!(variables[0]["value"].is_null() && variables[0]["sensitive"] == true);
    assert_eq!(variables[1]["value"], "web");
    assert!(!plan.to_string().contains("hush"), "{plan:#}");
}

fn sha256sum(world: &World, file: &str) -> String {
    let output = Command::new("sha256sum").arg(file).current_dir(world.path()).output();
    let output = output.expect("coreutils are there").stdout;
    String::from_utf8_lossy(&output).split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn a_plan_for_people_fits_60_columns() {
    let world = World::local();
    web(&world);
    world.build("web.pkr.hcl", "one");
    let text = world.ok(&["plan", "web.pkr.hcl"]);
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    for line in [
        "├── file.web: unchanged",
        "│   ├── source file.web (web.pkr.hcl:20)",
        "│   │   ├── new in each run: content",
        "│   ├── provisioner 1: shell-local \"check\" (web.pkr.hcl:26)",
        "│   ├── var.token (sensitive)",
        "│   └── var.who = \"web\"",
        "└── publish to web (local)",
        "    └── last version: v1 (one)",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    assert!(!text.contains("hush") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn graphviz_reads_a_plan() {
    let world = World::local();
    web(&world);
    let text = world.ok(&["plan", "-format=dot", "-offline", "web.pkr.hcl"]);
    assert!(text.contains("\"file.web source\" -> \"file.web provisioner 1\";"), "{text}");
    assert!(text.contains("-> \"bucket web\";"), "{text}");
    if Command::new("dot").arg("-V").output().is_err() {
        eprintln!("Graphviz is not installed: its reading is not tested");
        return;
    }
    let mut dot = Command::new("dot");
    let dot = dot.arg("-Tsvg").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut dot = dot.expect("dot runs");
    let mut input = dot.stdin.take().expect("its input");
    std::io::Write::write_all(&mut input, text.as_bytes()).expect("it reads");
    drop(input);
    let output = dot.wait_with_output().expect("it ends");
    let svg = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && svg.contains("shell&#45;local check"), "{svg}");
}

#[test]
fn what_changed_since_the_last_version_is_shown() {
    with_both(|world| {
        web(world);
        let state = |args: &[&str]| state(world, args);
        assert_eq!(state(&[]).0, "new");
        world.build("web.pkr.hcl", "one");
        // Neither the time nor a random value is a change, nor is a secret.
        assert_eq!(state(&[]), ("unchanged".into(), Vec::new()));
        assert_eq!(state(&["-var=token=other-secret"]).0, "unchanged");
        assert_eq!(state(&["-var=unused=y"]).0, "unchanged");
        assert_eq!(state(&["-offline"]).0, "not_compared");

        let changed = |args: &[&str], reason: &str| {
            assert_eq!(state(args), ("changed".into(), vec![reason.to_owned()]));
        };
        changed(&["-var=who=shop"], "the options of source file.web");
        world.write("check.sh", "true # changed\n");
        changed(&[], "the content of <path.root>/check.sh");
        world.write("check.sh", "true\n");
        let sleep = "  provisioner \"sleep\" {\n  }\n  provisioner \"shell-local\" {\n    name";
        let with_sleep = WEB.replace("  provisioner \"shell-local\" {\n    name", sleep);
        world.write("web.pkr.hcl", &with_sleep);
        changed(&[], "provisioner 1 (sleep) is new");
        // Layout and comments are no change, nor is where the template is.
        world.write("web.pkr.hcl", &format!("# a comment\n{}", WEB.replace("  ", " ")));
        assert_eq!(state(&[]).0, "unchanged");
        let absolute = world.path().join("web.pkr.hcl").display().to_string();
        let text = world.ok(&["plan", "-format=json", &absolute]);
        assert!(text.contains("\"state\": \"unchanged\""), "{text}");

        // Nothing that is published tells the secret, or its hash.
        let version = world.json(&["versions", "show", "web", "one"]).to_string();
        assert!(version.contains("\"inputs\"") && !version.contains("hush"), "{version}");
        world.ok(&["registry", "revoke", "web", "one"]);
        assert_eq!(state(&[]), ("changed".into(), vec!["v1 is revoked".into()]));
    });
}

#[test]
fn a_registry_that_does_not_answer_is_an_error() {
    let world = World::local();
    web(&world);
    let env = [
        ("INGOT_REGISTRY", "http://127.0.0.1:1"),
        ("HCP_CLIENT_ID", "id"),
        ("HCP_CLIENT_SECRET", "nobody-knows"),
    ];
    let run = world.ingot_with(&["plan", "web.pkr.hcl"], &env);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("-offline plans without"), "{}", run.stderr);
    let run = world.ingot_with(&["plan", "-offline", "web.pkr.hcl"], &env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn mistakes_in_a_template_are_reported_as_by_validate() {
    let world = World::local();
    world.write("web.pkr.hcl", &WEB.replace("target  =", "tarqet  ="));
    let run = world.ingot(&["plan", "web.pkr.hcl"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("web.pkr.hcl:22:3"), "{}", run.stderr);
}

#[test]
fn only_what_changed_is_built() {
    with_both(|world| {
        web(world);
        let build = |args: &[&str]| {
            world.ok(&[&["build", "-changed-only"], args, &["web.pkr.hcl"]].concat())
        };
        let versions = || world.json(&["versions", "list", "web"]).as_array().map(Vec::len);
        let said = build(&[]);
        assert!(said.contains("file.web: new: its bucket has no complete version"), "{said}");
        assert_eq!(versions(), Some(1));
        std::fs::remove_file(world.path().join("web.txt")).expect("it was built");
        let said = build(&["-var=token=another"]);
        assert!(said.contains("file.web: unchanged since v1"), "{said}");
        assert!(said.contains("Nothing has changed: nothing is built."), "{said}");
        assert!(!world.path().join("web.txt").exists(), "nothing is built");
        assert_eq!(versions(), Some(1));
        let said = build(&["-var=who=shop"]);
        let why = "file.web: changed since v1: the options of source file.web";
        assert!(said.contains(why), "{said}");
        assert_eq!(versions(), Some(2));
    });
    let world = World::local();
    web(&world);
    world.write(
        "web.pkr.hcl",
        &WEB.replace("hcp_packer_registry", "# hcp_packer_registry {}\nlocals"),
    );
    let said = world.fails(&["build", "-changed-only", "web.pkr.hcl"]);
    assert!(said.contains("this publishes nothing"), "{said}");
}

#[test]
fn what_the_step_cache_can_do_is_shown_without_a_machine() {
    let world = World::local();
    let template = r#"
source "docker" "web" {
  image  = "debian:12"
  commit = true
}
build {
  sources = ["source.docker.web"]
  provisioner "shell" {
    inline = ["apt-get update"]
  }
  provisioner "shell" {
    inline = ["echo ${timestamp()}"]
  }
  provisioner "shell" {
    inline = ["true"]
  }
}
"#;
    world.write("web.pkr.hcl", template);
    let plan = plan(&world, &[]);
    assert!(plan["publish"].is_null(), "{plan:#}");
    let build = &plan["builds"][0];
    assert_eq!(
        (&build["source"]["base"], &build["state"]),
        (&"debian:12".into(), &"not_compared".into())
    );
    let why = |index: usize| &build["provisioners"][index]["cache"]["not_kept_because"];
    assert!(why(0).is_null() && build["provisioners"][0]["cache"].is_object(), "{build:#}");
    assert!(why(1).as_str().is_some_and(|why| why.contains("timestamp")), "{build:#}");
    assert_eq!(why(2), "a step before it is not cached");
    assert!(!world.path().join("state").exists(), "nothing is written");
}

/// Options with a secret in each of them, beside what is none.
const BESIDE: &str = r#"
variable "token" {
  default   = "hush-hush"
  sensitive = true
}
variable "a" {
  default = "a"
}
variable "b" {
  default = "b"
}
variable "dir" {
  default   = "hidden-directory"
  sensitive = true
}
hcp_packer_registry {
  bucket_name = "web"
}
source "file" "web" {
  content = templatefile("${path.root}/data.tpl", { token = var.token })
  target  = "web.txt"
}
build {
  sources = ["source.file.web"]
  provisioner "shell-local" {
    inline           = ["true"]
    environment_vars = ["A=${file("${path.root}/plain.txt")} ${var.token}"]
  }
  provisioner "shell-local" {
    inline   = ["true"]
    override = { web = { inline = ["true ${var.a} ${var.token}"] } }
  }
  dynamic "provisioner" {
    for_each = [var.b]
    labels   = ["shell-local"]
    content {
      inline = ["true ${provisioner.value} ${var.token}"]
    }
  }
  provisioner "shell-local" {
    script          = "${path.root}/${var.dir}/check.sh"
    execute_command = ["sh", "{{ .Script }}"]
  }
}
"#;

#[test]
fn what_is_beside_a_secret_counts() {
    let world = World::local();
    world.write("web.pkr.hcl", BESIDE);
    world.write("data.tpl", "one ${token}\n");
    world.write("plain.txt", "plain");
    for directory in ["hidden-directory", "other-directory"] {
        std::fs::create_dir(world.path().join(directory)).expect("it is created");
        world.write(&format!("{directory}/check.sh"), "true\n");
    }
    world.build("web.pkr.hcl", "one");
    let state = |args: &[&str]| state(&world, args);
    assert_eq!(state(&[]), ("unchanged".into(), Vec::new()));
    assert_eq!(state(&["-var=token=another", "-var=dir=other-directory"]).0, "unchanged");
    let changed = |args: &[&str], reason: &str| {
        assert_eq!(state(args), ("changed".into(), vec![reason.to_owned()]));
    };
    changed(&["-var=a=x"], "the options of provisioner 2 (shell-local)");
    changed(&["-var=b=x"], "the options of provisioner 3 (shell-local)");
    world.write("data.tpl", "two ${token}\n");
    changed(&[], "the options of source file.web");
    world.write("data.tpl", "one ${token}\n");
    world.write("plain.txt", "other");
    changed(&[], "the options of provisioner 1 (shell-local)");
    world.write("plain.txt", "plain");
    world.write("hidden-directory/check.sh", "true # changed\n");
    let (what, why) = state(&[]);
    assert!(what == "changed" && why.len() == 1 && why[0].contains("content of"), "{why:?}");
    let version = world.json(&["versions", "show", "web", "one"]).to_string();
    assert!(!version.contains("hush") && !version.contains("hidden-dir"), "{version}");
}

/// `regex` finds nothing in the name that stands for `build.ID` before the run.
const FOR_THE_RUN: &str = r#"
hcp_packer_registry {
  bucket_name = "web"
}
source "file" "web" {
  content = "web"
  target  = "web.txt"
}
build {
  sources = ["source.file.web"]
  provisioner "shell-local" {
    inline = ["true WORD ${regex("unknown", build.ID)}"]
  }
}
"#;

#[test]
fn options_that_only_the_run_can_evaluate_count() {
    let world = World::local();
    let write = |word: &str| world.write("web.pkr.hcl", &FOR_THE_RUN.replace("WORD", word));
    write("one");
    world.build("web.pkr.hcl", "one");
    assert_eq!(state(&world, &[]), ("unchanged".into(), Vec::new()));
    write("two");
    let why = "the options of provisioner 1 (shell-local)".to_owned();
    assert_eq!(state(&world, &[]), ("changed".into(), vec![why]));
}

#[test]
fn a_build_that_skipped_provisioners_counts_as_changed() {
    let world = World::local();
    web(&world);
    let build = |args: &[&str], fingerprint: &str| {
        let args = [&["build"], args, &["web.pkr.hcl"]].concat();
        let run = world.ingot_with(&args, &[("HCP_PACKER_BUILD_FINGERPRINT", fingerprint)]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    };
    build(&["-on-error=keep"], "one");
    assert_eq!(state(&world, &[]).0, "unchanged");
    world.write("check.sh", "true # changed\n");
    build(&["-only-post-processors"], "two");
    let why = "what it was made from: it went on with -start-at or -only-post-processors";
    assert_eq!(state(&world, &[]), ("changed".into(), vec![why.to_owned()]));
    build(&["-force"], "three");
    assert_eq!(state(&world, &[]).0, "unchanged");
}

#[test]
fn a_build_is_planned_whose_options_only_the_run_knows() {
    let world = World::local();
    world.write(
        "web.pkr.hcl",
        r#"
data "null" "base" {
  input = "debian:12"
}
source "docker" "web" {
  image  = data.null.base.output
  commit = true
}
build {
  sources = ["source.docker.web"]
}
"#,
    );
    let plan = plan(&world, &[]);
    assert_eq!(plan["builds"][0]["name"], "docker.web", "{plan:#}");
    assert_eq!(plan["builds"][0]["source"]["unknown"], serde_json::json!(["image"]));
}

#[test]
fn a_plan_stays_json_whatever_is_secret() {
    let world = World::local();
    web(&world);
    for secret in ["null", "false", "name"] {
        let plan = plan(&world, &[&format!("-var=token={secret}")]);
        assert_eq!(plan["builds"][0]["name"], "file.web", "{plan:#}");
    }
}

#[test]
fn what_is_removed_from_a_template_is_a_change() {
    let world = World::local();
    let template = |sources: &str, keep: &str| {
        let source = |name: &str| {
            format!(
                "source \"file\" \"{name}\" {{\n content = \"x\"\n target = \"{name}.txt\"\n}}\n"
            )
        };
        let text = format!(
            "hcp_packer_registry {{\n bucket_name = \"web\"\n}}\n{}{}build {{\n sources = \
             [{sources}]\n post-processor \"manifest\" {{\n {keep}\n }}\n}}\n",
            source("one"),
            source("two"),
        );
        world.write("web.pkr.hcl", &text);
    };
    template("\"source.file.one\", \"source.file.two\"", "");
    world.build("web.pkr.hcl", "one");
    assert_eq!(plan(&world, &[])["publish"]["removed"], serde_json::json!([]));
    template("\"source.file.one\"", "");
    assert_eq!(plan(&world, &[])["publish"]["removed"], serde_json::json!(["file.two"]));
    let said = world.ok(&["build", "-changed-only", "-force", "web.pkr.hcl"]);
    assert!(said.contains("file.two: removed since v1"), "{said}");
    assert_eq!(state(&world, &[]).0, "unchanged");
    template("\"source.file.one\"", "keep_input_artifact = false");
    assert_eq!(state(&world, &[]).0, "changed");
}

#[test]
fn scripts_that_commands_run_count() {
    let world = World::local();
    for script in ["prepare.sh", "publish.sh"] {
        world.write(script, "true\n");
    }
    world.write(
        "web.pkr.hcl",
        r#"
hcp_packer_registry {
  bucket_name = "web"
}
source "file" "web" {
  content = "x"
  target  = "web.txt"
}
build {
  sources = ["source.file.web"]
  provisioner "shell-local" {
    command = "LEVEL=1 sh ./prepare.sh -v > log.txt"
  }
  post-processor "shell-local" {
    inline              = ["true", "sh publish.sh"]
    keep_input_artifact = true
  }
}
"#,
    );
    world.build("web.pkr.hcl", "one");
    assert_eq!(state(&world, &[]).0, "unchanged");
    for script in ["prepare.sh", "publish.sh"] {
        world.write(script, "true # changed\n");
        let why = format!("the content of <path.root>/{script}");
        assert_eq!(state(&world, &[]), ("changed".to_owned(), vec![why]));
        world.write(script, "true\n");
    }
    // What a command writes is no change.
    world.write("log.txt", "another\n");
    let said = world.ok(&["build", "-changed-only", "web.pkr.hcl"]);
    assert!(said.contains("Nothing has changed: nothing is built."), "{said}");
}

#[test]
fn a_plan_changes_nothing_of_the_registry() {
    let world = World::local();
    web(&world);
    let database = world.path().join("registry.db");
    std::fs::write(&database, "").expect("it is written");
    assert_eq!(state(&world, &[]).0, "new");
    let length = || std::fs::metadata(&database).expect("it is there").len();
    assert_eq!(length(), 0);
    world.build("web.pkr.hcl", "one");
    let before = std::fs::read(&database).expect("it is there");
    let beside =
        || ["registry.db-wal", "registry.db-shm"].map(|name| world.path().join(name).exists());
    assert_eq!(state(&world, &[]).0, "unchanged");
    assert!(std::fs::read(&database).expect("it is there") == before, "the plan changed it");
    assert_eq!(beside(), [false, false], "the plan left something");
}
