//! What is out of date is rebuilt, in order, and what is shown of it.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::tree::{
    THREE, TWELVE, built, family, move_channel, names, ok, stale, template, told, write,
};
use crate::altered::recorded;
use crate::world::{World, run};
use ingot_test_support::{BASE, docker, require};

#[test]
fn exactly_the_descendants_of_a_parent_that_moved_are_rebuilt() {
    let world = &World::local();
    family(world, TWELVE);
    let all: BTreeSet<String> = TWELVE.iter().map(|(name, _)| (*name).to_owned()).collect();
    let dry = world.ok(&["build", "-stale", "-dry-run", "images"]);
    assert!(dry.contains("12 would be built in this order, 0 unchanged."), "{dry}");
    let place = |bucket: &str| {
        let line = format!(". {bucket} (images/{bucket}), to be promoted to production");
        dry.lines().position(|one| one.ends_with(&line)).unwrap_or_else(|| panic!("{dry}"))
    };
    assert!(place("base") < place("web") && place("web") < place("shop"), "{dry}");
    assert!(world.json(&["buckets", "list"]).as_array().is_some_and(Vec::is_empty));

    let first = stale(world);
    ok(&first);
    assert_eq!(built(&first), all, "{}", first.stdout);
    for (name, what) in told(&first) {
        assert_eq!(what, "built v1, promoted to production", "{name}");
    }
    let second = stale(world);
    ok(&second);
    assert!(second.stdout.contains("==> Family: 0 built, 12 unchanged."), "{}", second.stdout);
    let dry = world.ok(&["build", "-stale", "-dry-run", "images"]);
    assert!(dry.contains("Nothing is out of date: 12 unchanged."), "{dry}");

    move_channel(world, "base", "base-2");
    let dry = world.ok(&["build", "-stale", "-dry-run", "images"]);
    let moved = "   the channel production of base moved from v1 to v2";
    assert!(dry.contains(moved) && dry.contains("   web is built before it"), "{dry}");
    assert!(dry.contains("6 would be built in this order, 6 unchanged."), "{dry}");
    let third = stale(world);
    ok(&third);
    let descendants = names(&["web", "sql", "shop", "blog", "bank", "book"]);
    assert_eq!(built(&third), descendants, "{}", third.stdout);
    assert!(third.stdout.contains("==> Family: 6 built, 6 unchanged."), "{}", third.stdout);
    let channel = world.json(&["channels", "show", "shop", "production"]);
    assert_eq!(channel["version"]["name"], "v2", "{channel:#}");

    // What is built from a revoked version is out of date too.
    let revoke = ["registry", "revoke", "edge", "v1", "-rollback=false", "-descendants=false"];
    let run = world.ingot(&revoke);
    ok(&run);
    move_channel(world, "edge", "edge-2");
    let fourth = stale(world);
    ok(&fourth);
    assert_eq!(built(&fourth), names(&["cdn", "dns", "film", "name"]), "{}", fourth.stdout);
}

#[test]
fn a_dry_run_creates_no_registry() {
    let world = World::local();
    family(&world, THREE);
    let typed = world.path().join("typed.db");
    let env = [("INGOT_REGISTRY", typed.to_str().expect("a plain name"))];
    let run = world.ingot_with(&["build", "-stale", "-dry-run", "images"], &env);
    ok(&run);
    assert!(run.stdout.contains("3 would be built in this order, 0 unchanged."), "{}", run.stdout);
    assert!(!typed.exists(), "{}", run.stdout);
}

#[test]
fn a_family_is_rebuilt_on_a_server() {
    let world = &World::served();
    family(world, THREE);
    let run = stale(world);
    ok(&run);
    assert_eq!(built(&run), names(&["base", "web", "shop"]), "{}", run.stdout);
    assert!(stale(world).stdout.contains("==> Family: 0 built, 3 unchanged."));
    move_channel(world, "web", "web-2");
    let run = stale(world);
    ok(&run);
    assert_eq!(built(&run), names(&["shop"]), "{}", run.stdout);
}

/// HCP Packer may charge for each channel that is asked for by itself.
#[test]
fn channels_are_asked_for_once_for_each_bucket() {
    let (world, asked) = recorded();
    family(&world, &[("base", None), ("web", Some("base")), ("sql", Some("base"))]);
    ok(&stale(&world));
    let reads = || {
        let mut lines = asked.with("/channels");
        lines.retain(|line| line.starts_with("GET "));
        lines
    };
    drop(reads());
    for args in [&["build", "-stale", "-dry-run", "images"][..], &["plan", "-family", "images"]] {
        world.ok(args);
        let mut reads = reads();
        reads.sort();
        let buckets = ["base", "sql", "web"].map(|bucket| format!("/buckets/{bucket}/channels"));
        assert_eq!(reads.len(), buckets.len(), "{args:?}: {reads:?}");
        let mut each = reads.iter().zip(&buckets);
        assert!(each.all(|(read, end)| read.ends_with(end)), "{args:?}: {reads:?}");
    }
    // Each member is looked at after its parents, and then whether it has been promoted.
    ok(&stale(&world));
    let reads = reads();
    assert_eq!(reads.len(), 5, "{reads:?}");
    assert!(reads.iter().all(|line| line.ends_with("/channels")), "{reads:?}");
}

#[test]
fn what_fails_stops_its_branch_only() {
    let world = World::local();
    family(&world, TWELVE);
    ok(&stale(&world));
    move_channel(&world, "base", "base-2");
    world.write("fail-web", "");
    let run = stale(&world);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_eq!(built(&run), names(&["sql", "bank", "book"]), "{}", run.stdout);
    let told = told(&run);
    let of = |bucket: &str| {
        let found = told.iter().find(|(name, _)| name == bucket);
        found.map(|(_, what)| what.as_str()).unwrap_or_default()
    };
    assert_eq!(of("web"), "failed: its build or a test of it failed");
    assert_eq!(of("shop"), "not reached, because of web");
    assert_eq!(of("blog"), "not reached, because of web");
    assert!(run.stdout.contains("3 built, 6 unchanged, 1 failed, 2 not reached"), "{}", run.stdout);
    // What failed is not promoted.
    let channel = world.json(&["channels", "show", "web", "production"]);
    assert_eq!(channel["version"]["name"], "v1", "{channel:#}");

    std::fs::remove_file(world.path().join("fail-web")).expect("it is there");
    let run = stale(&world);
    ok(&run);
    assert_eq!(built(&run), names(&["web", "shop", "blog"]), "{}", run.stdout);
}

#[test]
fn what_one_template_hides_is_hidden_in_the_output_of_all() {
    let world = World::local();
    let web = "  provisioner \"shell-local\" {\n    inline = [\"cat told known\"]\n  }\n";
    // One secret is known when the templates are read, the other only when `base` is built.
    let base = r#"  provisioner "shell-local" {
    environment_vars = ["TOLD=${local.told}"]
    inline           = ["echo $TOLD > told; echo ${var.known} > known"]
  }
"#;
    let secrets = r#"variable "known" {
  default   = "known-before-it-runs"
  sensitive = true
}
local "told" {
  expression = "told-${packer.versionFingerprint}-x"
  sensitive  = true
}
"#;
    write(&world, "base", &format!("{secrets}{}", template("base", None, base)));
    write(&world, "web", &template("web", Some("base"), web));
    let run = stale(&world);
    ok(&run);
    let written = std::fs::read_to_string(world.path().join("told")).expect("it was written");
    assert!(written.starts_with("told-"), "{written}");
    assert_eq!(
        run.stdout.matches("[web] ==> file.image: <sensitive>").count(),
        2,
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains(written.trim()) && !run.stdout.contains("known-before"));
}

#[test]
fn a_family_in_a_circle_is_an_error_with_places() {
    let world = World::local();
    write(&world, "one", &template("one", Some("two"), ""));
    write(&world, "two", &template("two", Some("one"), ""));
    let run = stale(&world);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
    let place = "images/one/image.pkr.hcl:1:1: one builds on two";
    assert!(run.stderr.contains(place), "{}", run.stderr);

    write(&world, "two", &template("one", None, ""));
    write(&world, "one", &template("one", None, ""));
    let run = stale(&world);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let said = "two templates publish to the bucket one";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    assert!(run.stderr.contains("images/two/image.pkr.hcl:1:1"), "{}", run.stderr);

    write(&world, "two", "source \"file\" {\n");
    let run = stale(&world);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("images/two/image.pkr.hcl:1:"), "{}", run.stderr);
    let quiet = template("two", None, "").replace("hcp_packer_registry", "locals");
    write(&world, "two", &quiet);
    let run = stale(&world);
    assert!(run.stderr.contains("publishes nothing, so it belongs to no family"), "{}", run.stderr);

    for (args, message) in [
        (vec!["build", "images/one", "images/two"], "-stale is missing"),
        (vec!["build", "-dry-run", "images/one"], "-stale is missing"),
        (
            vec!["build", "-stale", "-only=x", "images/one"],
            "-only and -except leave `file.image` out",
        ),
        (vec!["build", "-stale", "-except=file.image", "images/one"], "leave `file.image` out"),
        (vec!["build", "-stale", "-except=[", "images/one"], "`[` is not a pattern"),
        (vec!["build", "-stale", "-progress=live", "images/one"], "are shown in lines"),
        (vec!["plan", "-family", "-only=x", "images/one"], "leave `file.image` out"),
        (vec!["build", "-stale", "nowhere"], "nowhere"),
        (vec!["build", "-stale", "-var=no=1", "images/one"], "has a variable `no`"),
        (vec!["plan", "images/one", "images/two"], "-family is missing"),
    ] {
        let said = world.fails(&args);
        assert!(said.contains(message), "{args:?}: {said}");
    }
}

#[test]
fn a_plan_shows_the_family() {
    let world = World::local();
    family(&world, THREE);
    let plan = |args: &[&str]| -> Value {
        let args = [&["plan", "-family", "-format=json"], args, &["images"]].concat();
        serde_json::from_str(&world.ok(&args)).expect("JSON")
    };
    let states = |plan: &Value| -> Vec<String> {
        let members = plan["members"].as_array().expect("members").iter();
        let state = |one: &Value| {
            format!("{} {}", one["bucket"].as_str().unwrap(), one["state"].as_str().unwrap())
        };
        members.map(state).collect()
    };
    assert_eq!(states(&plan(&[])), ["base stale", "web stale", "shop stale"]);
    assert_eq!(
        states(&plan(&["-offline"])),
        ["base not_compared", "web not_compared", "shop not_compared"]
    );
    assert!(!world.path().join("registry.db").exists(), "nothing is written");
    ok(&stale(&world));
    assert_eq!(states(&plan(&[])), ["base up_to_date", "web up_to_date", "shop up_to_date"]);
    move_channel(&world, "base", "base-2");
    let moved = plan(&[]);
    assert_eq!(states(&moved), ["base up_to_date", "web stale", "shop after_parents"]);
    let web = &moved["members"][1];
    assert_eq!(web["parents"][0]["version"], "v2");
    assert_eq!(web["parents"][0]["built_from"], "v1");
    assert_eq!(web["reasons"][0], "the channel production of base moved from v1 to v2");
    let tree = world.ok(&["plan", "-family", "images"]);
    for line in [
        "family of 3 templates",
        "├── base v2: up to date",
        "├── web v1: out of date",
        "│   ├── builds on base production, at v2, built from v1",
        "└── shop v1: after its parents",
        "    ├── web is built before it",
    ] {
        assert!(tree.lines().any(|one| one == line), "{line}\n{tree}");
    }
    let dot = world.ok(&["plan", "-family", "-format=dot", "images"]);
    assert!(dot.contains("  \"base\" -> \"web\";\n"), "{dot}");
}

#[test]
fn a_changed_template_is_built_with_what_is_out_of_date() {
    let world = World::local();
    family(&world, THREE);
    ok(&stale(&world));
    write(&world, "shop", &template("shop", Some("web"), "  provisioner \"sleep\" {\n  }\n"));
    assert!(stale(&world).stdout.contains("0 built, 3 unchanged"));
    let run = world.ingot(&["build", "-stale", "-changed-only", "images"]);
    ok(&run);
    assert_eq!(built(&run), names(&["shop"]), "{}", run.stdout);
    assert!(run.stdout.contains("provisioner 2 (sleep) is new"), "{}", run.stdout);
    assert!(run.stdout.contains("1 built, 2 unchanged"), "{}", run.stdout);
}

#[test]
fn the_output_of_all_builds_is_coloured_when_asked_for() {
    let world = World::local();
    write(&world, "base", &template("base", None, ""));
    let run = world.ingot(&["build", "-stale", "-color=true", "images"]);
    ok(&run);
    let line = "[base] \u{1b}[1;32mfile.image: output will be in this color.\u{1b}[0m\n";
    assert!(run.stdout.contains(line), "{:?}", run.stdout);
}

#[test]
fn the_log_says_of_which_member_a_line_is() {
    let world = World::local();
    for bucket in ["base", "web"] {
        write(&world, bucket, &template(bucket, None, ""));
    }
    let log = world.path().join("packer.log");
    let env = [("PACKER_LOG", ""), ("PACKER_LOG_PATH", log.to_str().expect("a plain name"))];
    ok(&world.ingot_with(&["build", "-stale", "images"], &env));
    let log = std::fs::read_to_string(log).expect("a log");
    for bucket in ["base", "web"] {
        assert!(log.contains(&format!("ui: [{bucket}] ==> file.image: ")), "{log}");
    }
}

#[test]
fn flags_that_ci_gives_reach_all_builds() {
    let world = World::local();
    let variable = "variable \"word\" {\n  default = \"none\"\n}\nvariable \"other\" {\n  default = \
                    \"none\"\n}\n";
    let more = "  provisioner \"shell-local\" {\n    inline = [\"echo ${var.word} ${var.other} > \
                words\"]\n  }\n  post-processor \"checksum\" {\n    name = \"slow\"\n    checksum_types = \
                [\"sha256\"]\n    output = \"web.sum\"\n  }\n";
    let web = template("web", Some("base"), more);
    write(&world, "base", &template("base", None, ""));
    write(&world, "web", &format!("{variable}{web}"));
    world.write("ci.pkrvars.hcl", "other = \"from-file\"\n");
    let flags = [
        "build",
        "-stale",
        "-color=false",
        "-parallel-builds=1",
        "-on-error=abort",
        "-machine-readable",
        "-only=file.*",
        "-except=slow",
        "-var=word=from-flag",
        "-var-file=ci.pkrvars.hcl",
        "-report=junit.xml",
        "images",
    ];
    let run = world.ingot(&flags);
    ok(&run);
    let words = std::fs::read_to_string(world.path().join("words")).expect("web was built");
    assert_eq!(words, "from-flag from-file\n");
    assert!(!world.path().join("web.sum").exists(), "{}", run.stdout);
    for report in ["base.junit.xml", "web.junit.xml"] {
        let text = std::fs::read_to_string(world.path().join(report)).expect("a report");
        assert!(text.contains("<testsuite "), "{text}");
    }
    // Each line says of which member it is.
    let of = |target: &str, rest: &str| {
        let line = format!(",{target},{rest}");
        assert!(run.stdout.contains(&line), "no {line:?}: {}", run.stdout);
    };
    for bucket in ["base", "web"] {
        of(&format!("{bucket}/file.image"), "artifact,0,builder-id,packer.file");
        of(bucket, "ui,say,==> file.image: ");
    }
    of("", "ui,say,==> base: it was never built");
    let lines = |line: &str| line.split(',').next().is_some_and(|time| time.parse::<u64>().is_ok());
    assert!(run.stdout.lines().all(lines), "{}", run.stdout);

    move_channel(&world, "base", "base-2");
    let run = world.ingot(&["build", "-stale", "-timestamp-ui", "images"]);
    ok(&run);
    assert_eq!(built(&run), names(&["web"]), "{}", run.stdout);
    let line = run.stdout.lines().find(|line| line.contains("Z: ==> file.image: "));
    let line = line.unwrap_or_else(|| panic!("no time: {}", run.stdout));
    assert!(line.starts_with("[web] 20"), "{line}");
    assert!(world.path().join("web.sum").exists(), "{}", run.stdout);
}

/// A template of a Docker image, whose test wants a file that it only makes if `good`.
fn tested(world: &World, name: &str, parent: Option<&str>, good: bool) {
    let base = format!("\"{BASE}\"");
    let (data, image) = match parent {
        None => (String::new(), base.as_str()),
        Some(parent) => (
            format!(
                r#"data "hcp-packer-artifact" "parent" {{
  bucket_name  = "{parent}"
  channel_name = "production"
  platform     = "docker"
  region       = "docker"
}}
"#
            ),
            "data.hcp-packer-artifact.parent.external_identifier",
        ),
    };
    let marker = if good { "good" } else { "bad" };
    let template = format!(
        r#"{data}hcp_packer_registry {{
  bucket_name = "{name}"
}}
source "docker" "image" {{
  image  = {image}
  pull   = false
  commit = true
}}
build {{
  sources = ["source.docker.image"]
  provisioner "shell" {{
    inline = ["touch /{marker}-{name}"]
  }}
}}
"#
    );
    write(world, name, &template);
    let companion = format!(
        "family {{\n  promote = \"production\"\n}}\ntest \"it is good\" {{\n  file \"/good-{name}\" {{\n  }}\n}}\n"
    );
    let path = world.path().join("images").join(name).join("image.ingot.hcl");
    std::fs::write(path, companion).expect("the tests are written");
}

#[test]
fn what_fails_its_tests_is_not_promoted_and_stops_its_branch_only() {
    require!(docker());
    let world = World::local();
    tested(&world, "root", None, true);
    tested(&world, "leaf", Some("root"), true);
    tested(&world, "other", None, true);
    let run = stale(&world);
    ok(&run);
    assert_eq!(built(&run), names(&["root", "leaf", "other"]), "{}", run.stdout);

    tested(&world, "root", None, false);
    let run = world.ingot(&["build", "-stale", "-changed-only", "images"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let said = "--> root: failed: its build or a test of it failed";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    assert!(run.stdout.contains("--> leaf: not reached, because of root"), "{}", run.stdout);
    assert!(run.stdout.contains("0 built, 1 unchanged"), "{}", run.stdout);
    let channel = world.json(&["channels", "show", "root", "production"]);
    assert_eq!(channel["version"]["name"], "v1", "{channel:#}");
    for bucket in ["root", "leaf", "other"] {
        let version = world.json(&["channels", "show", bucket, "production"]);
        for build in version["version"]["builds"].as_array().into_iter().flatten() {
            let image = build["artifacts"][0]["external_identifier"].as_str().unwrap_or_default();
            let _ = std::process::Command::new("docker").args(["rmi", "-f", image]).output();
        }
    }
}

/// A build that a provisioner of a member starts is no member.
#[test]
fn builds_inside_of_builds_are_their_own() {
    let world = World::local();
    let ingot = ingot_test_support::ingot_program().display().to_string();
    let inner = format!(
        "  provisioner \"shell-local\" {{\n    inline = [\"HCP_PACKER_REGISTRY=off {ingot} build inner.pkr.hcl\"]\n  }}\n"
    );
    world.write(
        "inner.pkr.hcl",
        "source \"file\" \"inner\" {\n  content = \"x\"\n  target = \"inner.txt\"\n}\nbuild {\n  \
         sources = [\"source.file.inner\"]\n}\n",
    );
    write(&world, "base", &template("base", None, &inner));
    let run = stale(&world);
    ok(&run);
    assert!(world.path().join("inner.txt").exists(), "{}", run.stdout);
}

/// A pipe gives the credentials once, and each member has a process of its own.
#[test]
fn credentials_of_a_pipe_are_refused_before_anything_is_built() {
    let world = World::served();
    family(&world, THREE);
    let setting = |name: &str| {
        let found = world.env().iter().find(|(key, _)| key == name);
        &found.unwrap_or_else(|| panic!("the server does not say {name}")).1
    };
    let key = json!({
        "scheme": "service_principal_creds",
        "oauth": {
            "client_id": setting("HCP_CLIENT_ID"),
            "client_secret": setting("HCP_CLIENT_SECRET"),
        },
    });
    let pipe = world.path().join("key.pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run");
    assert!(made.success());
    let writer = std::thread::spawn(move || std::fs::write(pipe, key.to_string()));
    let mut command = world.command(&["build", "-stale", "images"]);
    command.env_remove("HCP_CLIENT_ID").env_remove("HCP_CLIENT_SECRET");
    command.env("HCP_CRED_FILE", "key.pipe");
    let run = run(command.output().expect("the program can be run"));
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_eq!(built(&run), names(&[]), "{}", run.stdout);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("key.pipe is no regular file"), "{said}");
    assert!(said.contains("write what it gives to a file"), "{said}");
    writer.join().expect("it ends").expect("it is read");

    // Nobody writes to it: it is not opened.
    let pipe = world.path().join("pipe.pkrvars.hcl");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run");
    assert!(made.success());
    let run = world.ingot(&["build", "-stale", "-var-file=pipe.pkrvars.hcl", "images"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("pipe.pkrvars.hcl is no regular file"), "{}", run.stderr);
}
