//! `packer` blocks: versions and plugins.

use ingot_test_support::{NULL, ingot, ingot_with, template};

fn validate(text: &str) -> (Option<i32>, String) {
    let dir = template(&format!("{text}{NULL}"));
    let run = ingot(dir.path(), &["validate", "."]);
    (run.code, run.stdout)
}

#[test]
fn versions_that_fit_pass() {
    let (code, said) = validate(
        r#"
packer {
  required_version = ">= 1.7.0, < 2.0.0"
  required_plugins {
    docker = {
      source  = "github.com/hashicorp/docker"
      version = "~> 1"
    }
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}
"#,
    );
    assert_eq!((code, said.as_str()), (Some(0), "The configuration is valid.\n"));
}

#[test]
fn versions_that_do_not_fit_are_shown() {
    let (code, said) = validate("packer {\n  required_version = \"~> 1.6.0\"\n}\n");
    assert_eq!(code, Some(1));
    assert!(said.contains("t.pkr.hcl:2:22") && said.contains("not for Packer 1."), "{said}");

    let (code, said) = validate(
        "packer {\n  required_plugins {\n    docker = {\n      source  = \"github.com/hashicorp/docker\"\n      version = \">= 7.0\"\n    }\n  }\n}\n",
    );
    assert_eq!(code, Some(0), "what is built in is what there is: {said}");
    assert!(said.contains("warning") && said.contains("t.pkr.hcl:5:17"), "{said}");
}

#[test]
fn a_plugin_can_have_a_name_of_the_templates() {
    let (code, said) = validate(
        r#"
packer {
  required_plugins {
    container = {
      source  = "github.com/hashicorp/docker"
      version = "~> 1.0"
    }
  }
}

source "container" "c" {
  image  = "alpine"
  commit = true
}

build {
  sources = ["source.container.c"]

  post-processor "container-tag" {
    repository = "c"
  }
}
"#,
    );
    assert_eq!((code, said.as_str()), (Some(0), "The configuration is valid.\n"));
}

#[test]
fn every_mistake_is_shown_at_once() {
    let (code, said) = validate(
        r#"
packer {
  required_version = ">= one"
  required_plugin {}
  required_plugins {
    a = "1.0"
    b = { version = ">= 1" }
    c = { source = "hashicorp/c", version = ">= 1" }
    d = { source = "github.com/x/packer-plugin-d", version = ">= 1.0.0-dev" }
    e = { source = "github.com/x/e", version = "1", verison = "2" }
  }
}
"#,
    );
    assert_eq!(code, Some(1));
    for part in [
        "t.pkr.hcl:3:22",
        "`>= one` is not a version constraint",
        "did you mean `required_plugins`?",
        "t.pkr.hcl:6:9",
        "the plugin `b` has no `source`",
        "it needs a host, an owner and a name",
        "leave out `packer-plugin-`",
        "pre-release",
        "did you mean `version`?",
    ] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
}

#[test]
fn init_is_content_with_what_is_built_in() {
    let plugin = |name: &str| {
        template(&format!(
            "packer {{\n  required_plugins {{\n    p = {{\n      version = \">= 1\"\n      source  = \"github.com/hashicorp/{name}\"\n    }}\n  }}\n}}\n"
        ))
    };
    let run = ingot(plugin("docker").path(), &["init", "-upgrade", "."]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "", ""));
    let missing = plugin("nosuch");
    let empty = missing.path().to_str().unwrap();
    let env = [("INGOT_PLUGIN_MIRROR", empty), ("PACKER_PLUGIN_PATH", empty)];
    let run = ingot_with(missing.path(), &["init", "."], &env);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout.contains("Failed getting the \"github.com/hashicorp/nosuch\" plugin"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("t.pkr.hcl:4:17"), "{}", run.stdout);
}

#[test]
fn flags_that_change_nothing_are_taken() {
    let dir = template(NULL);
    let flags = ["-use-sequential-evaluation", "-config-type=hcl2"];
    for command in ["validate", "inspect"] {
        let run = ingot(dir.path(), &[&[command], &flags[..], &["."]].concat());
        assert_eq!(run.code, Some(0), "{command}: {}", run.stdout);
    }
}

#[test]
fn what_only_a_missing_plugin_has_is_traced_to_it() {
    let (code, said) = validate(
        r#"
packer {
  required_plugins {
    acme = {
      source  = "github.com/acme/acme"
      version = ">= 1.0"
    }
  }
}
source "acme-vm" "x" {}
build {
  sources = ["source.acme-vm.x"]
}
"#,
    );
    assert_eq!(code, Some(1));
    assert!(said.contains("the plugin `github.com/acme/acme` is not installed"), "{said}");
}
