//! Checking templates with installed plugins.

use crate::installed::{Installed, installed, put_program};
use crate::release_server::{program_name, program_of};
use ingot_test_support::{Run, require, template};

const REQUIRED: &str = r#"
packer {
  required_plugins {
    trial = {
      source  = "github.com/acme/trial"
      version = "VERSION"
    }
  }
}
"#;

fn required(version: &str) -> String {
    REQUIRED.replace("VERSION", version)
}

/// A build of the plugin with `options` in its source and `steps` in its build block.
fn build(options: &str, steps: &str) -> String {
    format!(
        "source \"trial\" \"t\" {{\n{options}\n}}\nbuild {{\n  sources = \
         [\"source.trial.t\"]\n{steps}\n}}\n"
    )
}

fn validate(plugins: &Installed, text: &str) -> Run {
    let dir = template(text);
    plugins.ingot(dir.path(), &["validate", "."])
}

#[test]
fn options_are_checked_by_the_plugin_s_own_specification() {
    let plugins = require!(installed());
    let valid = build(
        "directory = \"/tmp/x\"\n  texts = [\"a\"]\n  named = { k = \"v\" }\n  dynamic \"disk\" {\n    for_each = [1, 2]\n    content {\n      size = disk.value\n      partition {\n        label = \"p\"\n      }\n    }\n  }\n  boot {\n    label = null\n  }",
        "provisioner \"trial\" {\n    text = build.Directory\n    run = [build.ID]\n  }\n  post-processor \"trial\" {}",
    );
    let run = validate(&plugins, &(required(">= 1.0") + &valid));
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    // Nobody need require what is installed.
    assert_eq!(validate(&plugins, &valid).code, Some(0));

    let run = validate(
        &plugins,
        &build(
            "txet = \"a\"\n  number = \"many\"\n  disk {\n    sise = 1\n  }\n  boot {}\n  boot {}",
            "provisioner \"trial\" {\n    flags = true\n  }",
        ),
    );
    assert_eq!(run.code, Some(1));
    for message in [
        "there is no option called `txet` here",
        "did you mean `text`?",
        "invalid value for `number`",
        "there is no option called `sise` here",
        "there can be only one `boot` block here",
        "the option `directory` is missing",
        "there is no option called `flags` here",
        "t.pkr.hcl:2:1",
    ] {
        assert!(run.stdout.contains(message), "{message}: {}", run.stdout);
    }
}

#[test]
fn what_the_plugin_refuses_is_shown_at_its_place() {
    let plugins = require!(installed());
    let run = validate(&plugins, &build("directory = \"nowhere\"\n  text = \"wrong\"", ""));
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("'text' must not be wrong"), "{}", run.stdout);
    assert!(run.stdout.contains("t.pkr.hcl:3:10"), "{}", run.stdout);
    assert!(run.stdout.contains("the 'directory' must be somewhere"), "{}", run.stdout);
    assert!(run.stdout.contains("t.pkr.hcl:2:13"), "{}", run.stdout);
    let run = validate(&plugins, &build("directory = \"/x\"\n  text = \"odd\"", ""));
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.contains("the 'text' is odd"), "{}", run.stdout);
    assert!(run.stdout.contains("t.pkr.hcl:3:10"), "{}", run.stdout);
    // An error does not hide what is warned of.
    let run = validate(&plugins, &build("directory = \"nowhere\"\n  text = \"odd\"", ""));
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("the 'text' is odd"), "{}", run.stdout);
    assert!(run.stdout.contains("the 'directory' must be somewhere"), "{}", run.stdout);
}

#[test]
fn a_plugin_in_another_version_is_reported() {
    let plugins = require!(installed());
    let text = required(">= 2.0") + &build("directory = \"/x\"", "");
    let run = validate(&plugins, &text);
    assert_eq!(run.code, Some(1));
    let message = "the plugin `github.com/acme/trial` is not installed";
    assert!(run.stdout.contains(message), "{}", run.stdout);
    assert!(run.stdout.contains("installed: 1.0.0"), "{}", run.stdout);
    assert!(run.stdout.contains("ingot init"), "{}", run.stdout);
    assert_eq!(run.stdout.matches("error").count(), 1, "{}", run.stdout);
    let other = required(">= 1.0").replace("acme/trial", "other/trial");
    let run = validate(&plugins, &(other + &build("directory = \"/x\"", "")));
    assert!(run.stdout.contains("the plugin `github.com/other/trial` is not"), "{}", run.stdout);
}

#[test]
fn a_required_plugin_is_found_anywhere_in_its_owner_s_directory() {
    let plugins = require!(installed());
    let owner = plugins.directory().join("github.com/acme");
    // As by hand, without the plugin's own directory.
    for file in std::fs::read_dir(owner.join("trial")).unwrap() {
        let file = file.unwrap();
        std::fs::rename(file.path(), owner.join(file.file_name())).unwrap();
    }
    let dir = template(&(required(">= 1.0") + &build("directory = \"/x\"", "")));
    // Nothing is downloaded.
    let env = [("INGOT_PLUGIN_GITHUB_API_URL", "http://127.0.0.1:1")];
    for command in ["validate", "init", "validate"] {
        let run = plugins.ingot_with(dir.path(), &[command, "."], &env);
        assert_eq!(run.code, Some(0), "{command}: {}", run.stdout);
    }
    let program = owner.join(program_name("1.0.0")).display().to_string();
    for command in [["required", "."], ["remove", "github.com/acme/trial"]] {
        let run = plugins.ingot(dir.path(), &["plugins", command[0], command[1]]);
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        assert!(run.stdout.contains(&program), "{}", run.stdout);
    }
}

#[test]
fn a_broken_newer_program_is_skipped() {
    let plugins = require!(installed());
    let crashes = b"#!/bin/sh\necho broken >&2\nexit 3\n";
    plugins.put("1.1.0", crashes);
    plugins.put("1.2.0", b"#!/no/such/interpreter\n");
    let directory = plugins.directory().join("github.com/acme/trial");
    let sum = directory.join(format!("{}_SHA256SUM", program_name("1.3.0")));
    plugins.put("1.3.0", crashes);
    std::fs::write(sum, "00").unwrap();
    let own = build("directory = \"/x\"", "");
    // Packer takes the newest that it can use, too.
    for text in [required(">= 1.0") + &own, own.clone()] {
        let run = validate(&plugins, &text);
        assert_eq!((run.code, run.stdout.lines().count()), (Some(0), 1), "{}", run.stdout);
    }
    // Where none is left, the message names the newest.
    let run = validate(&plugins, &(required(">= 1.1, < 1.3") + &own));
    assert_eq!(run.code, Some(1));
    let program = directory.join(program_name("1.2.0"));
    let message = format!("{} cannot be started: No such file or directory", program.display());
    assert!(run.stdout.contains(&message), "{}", run.stdout);
    let run = validate(&plugins, &(required("1.1.0") + &own));
    assert!(run.stdout.contains("it ended with exit code 3 while describing"), "{}", run.stdout);
}

#[test]
fn pre_releases_are_used_unless_they_are_to_be_ignored() {
    let plugins = require!(installed());
    plugins.put("2.0.0-dev", &program_of("2.0.0-dev"));
    let dir = template(&(required(">= 2.0") + &build("directory = \"/x\"", "")));
    assert_eq!(plugins.ingot(dir.path(), &["validate", "."]).code, Some(0));
    for command in ["validate", "build"] {
        let run = plugins.ingot(dir.path(), &[command, "-ignore-prerelease-plugins", "."]);
        assert_eq!(run.code, Some(1));
        let message = "the plugin `github.com/acme/trial` is not installed";
        assert!(run.stdout.contains(message), "{}", run.stdout);
        assert!(run.stdout.contains("installed: 1.0.0\n"), "{}", run.stdout);
    }
    let dir = template(&(required(">= 1.0") + &build("directory = \"/x\"", "")));
    let run = plugins.ingot(dir.path(), &["validate", "-ignore-prerelease-plugins", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
}

#[test]
fn unknown_names_of_preferred_plugins_are_a_warning() {
    let plugins = require!(installed());
    let dir = template(ingot_test_support::NULL);
    let validate = |names: &str| {
        let env = [("INGOT_PREFER_INSTALLED_PLUGINS", names)];
        let run = plugins.ingot_with(dir.path(), &["validate", "."], &env);
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        run.stdout
    };
    let said = validate("dokcer, amazon");
    assert!(said.contains("names `dokcer`, which is not built in"), "{said}");
    assert!(said.contains("did you mean `docker`?") && !said.contains("`amazon`,"), "{said}");
    assert!(!validate("docker,amazon,qemu").contains("warning"));
    // Nor is its program there.
    let dir =
        template("source \"docker\" \"d\" {}\nbuild {\n  sources = [\"source.docker.d\"]\n}\n");
    let env = [("INGOT_PREFER_INSTALLED_PLUGINS", "docker")];
    let run = plugins.ingot_with(dir.path(), &["validate", "."], &env);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("names `docker`, which is not installed"), "{}", run.stdout);
}

#[test]
fn a_program_that_is_not_what_was_installed_does_not_run() {
    let plugins = require!(installed());
    plugins.set_checksum("00");
    let text = required(">= 1.0") + &build("directory = \"/x\"", "");
    let run = validate(&plugins, &text);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("is not the program that was installed"), "{}", run.stdout);
    assert!(plugins.record().is_empty());
}

#[test]
fn a_plugin_that_crashes_is_an_error_with_its_last_lines() {
    let plugins = require!(installed());
    let dir = template(&build("directory = \"/x\"", ""));
    let run = plugins.ingot_with(dir.path(), &["validate", "."], &[("TRIAL_START", "crash")]);
    assert_eq!(run.code, Some(1));
    let message = "the plugin packer-plugin-trial failed: it ended with exit code 3 while starting";
    assert!(run.stdout.contains(message), "{}", run.stdout);
    assert!(run.stdout.contains("trial: crashing on purpose"), "{}", run.stdout);
}

#[test]
fn programs_start_only_where_they_must() {
    let plugins = require!(installed());
    let run = validate(&plugins, ingot_test_support::NULL);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(plugins.record().is_empty(), "{:?}", plugins.record());
    let text = build(
        "directory = \"/x\"",
        "provisioner \"trial\" {}\n  provisioner \"trial\" {}\n  provisioner \"trial\" {}\n  post-processor \"trial\" {}",
    );
    let starts = |record: &[String]| record.iter().filter(|line| line.starts_with("start")).count();
    assert_eq!(validate(&plugins, &text).code, Some(0));
    let record = plugins.record();
    assert_eq!(record[0], "describe");
    // One for each component, though there are several provisioners, and each takes its options
    // as well as telling them.
    assert_eq!(starts(&record), 3, "{record:?}");
    // What it is and what options it has is known now.
    assert_eq!(validate(&plugins, &text).code, Some(0));
    let record = plugins.record();
    assert_eq!(record.len(), 7, "{record:?}");
}

#[test]
fn data_sources_of_plugins_are_known_to_validate_and_fetched_by_build() {
    let plugins = require!(installed());
    let text = r#"
data "trial-facts" "f" {
  text = "x"
}
locals {
  all = "${data.trial-facts.f.text} ${data.trial-facts.f.number} ${data.trial-facts.f.named["k"]} ${length(data.trial-facts.f.texts)}"
}
source "file" "out" {
  content = local.all
  target  = "out.txt"
}
build {
  sources = ["source.file.out"]
}
"#;
    let dir = template(text);
    let run = plugins.ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let run = plugins.ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_eq!(std::fs::read_to_string(dir.path().join("out.txt")).unwrap(), "said: x -7 v 2");
    let run = validate(&plugins, &text.replace("f.number", "f.nomber"));
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("nomber"), "{}", run.stdout);
    let run = validate(&plugins, &text.replace("text = \"x\"", "txt = \"x\""));
    assert!(run.stdout.contains("there is no option called `txt` here"), "{}", run.stdout);
}

#[test]
fn templates_can_be_inspected() {
    let plugins = require!(installed());
    let dir = template(&build("directory = \"/x\"", "provisioner \"trial\" {}"));
    let run = plugins.ingot(dir.path(), &["inspect", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("trial.t"), "{}", run.stdout);
}

#[test]
fn sources_of_plugins_that_no_build_uses_are_checked_as_others_are() {
    let plugins = require!(installed());
    let unused = "source \"trial\" \"unused\" {\n  directory = \"/x\"\n  txet = \"a\"\n}\n";
    let run = validate(&plugins, &(required(">= 1.0") + unused + ingot_test_support::NULL));
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("there is no option called `txet` here"), "{}", run.stdout);
    assert!(run.stdout.contains("no build uses source.trial.unused"), "{}", run.stdout);
    // One that is not installed is none of its business.
    let run = validate(&plugins, &(required(">= 2.0") + unused + ingot_test_support::NULL));
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(!run.stdout.contains("no builder is called"), "{}", run.stdout);
}

#[test]
fn how_long_a_plugin_may_take_is_a_duration() {
    let plugins = require!(installed());
    let works = build("directory = \"/x\"", "");
    let hangs = build("directory = \"/x\"\n  fail = \"hang\"\n  at = \"prepare\"", "");
    let validate = |text: &str, limit: &str| {
        let dir = template(text);
        plugins.ingot_with(dir.path(), &["validate", "."], &[("INGOT_PLUGIN_TIMEOUT", limit)])
    };
    for limit in ["abc", "600", "0s"] {
        let run = validate(&works, limit);
        assert_eq!(run.code, Some(1), "{limit}: {}", run.stdout);
        let message = format!("INGOT_PLUGIN_TIMEOUT is \"{limit}\"");
        assert_eq!(run.stdout.matches(&message).count(), 1, "{limit}: {}", run.stdout);
        // It is about plugins only.
        assert_eq!(validate(ingot_test_support::NULL, limit).code, Some(0));
    }
    let run = validate(&hangs, "300ms");
    let message = "did not respond within 0.3 seconds while checking its options \
                   (INGOT_PLUGIN_TIMEOUT sets how long it may take)";
    assert!(run.stdout.contains(message), "{}", run.stdout);
}

#[test]
fn a_required_plugin_hides_no_other_whose_name_begins_with_its_own() {
    let plugins = require!(installed());
    let program = program_of("1.0.0");
    let name = program_name("1.0.0").replace("plugin-trial", "plugin-trial-facts2");
    put_program(&plugins.directory().join("github.com/acme/trial-facts2").join(name), &program);
    let text =
        |component: &str| build("directory = \"/x\"", &format!("provisioner \"{component}\" {{}}"));
    let run = validate(&plugins, &(required(">= 1.0") + &text("trial-facts2")));
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    // Only what has it: this is a data source of the required one.
    let run = validate(&plugins, &(required(">= 1.0") + &text("trial-facts")));
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("no provisioner is called `trial-facts`"), "{}", run.stdout);
}
