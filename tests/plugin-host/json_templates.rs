//! Legacy JSON templates with installed plugins, which render `{{ }}` in their options
//! themselves.

use crate::installed::installed;
use ingot_test_support::{require, template};

const JSON: &str = r#"{
  "variables": { "name": "My Image", "password": "hunter22" },
  "sensitive-variables": ["password"],
  "builders": [{
    "type": "trial",
    "directory": "{{ user `name` }}",
    "rendered": "{{ template_dir }} {{ user `name` | upper }} {{ user `name` | clean_resource_name }}"
  }],
  "provisioners": [{
    "type": "trial",
    "rendered": "{{ if eq build_name `trial` }}{{ build `ID` }} {{ build `Answer` }}{{ end }} {{ user `password` | upper }} {{ template_dir }}"
  }],
  "post-processors": [{
    "type": "trial",
    "rendered": "{{ template_dir }} {{ user `name` | lower }}"
  }]
}"#;

#[test]
fn plugins_know_what_actions_in_json_templates_refer_to() {
    let plugins = require!(installed());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.json"), JSON).unwrap();
    let run = plugins.ingot(dir.path(), &["validate", "t.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let run = plugins.ingot(dir.path(), &["build", "t.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let here = dir.path().canonicalize().unwrap();
    let here = here.display();
    for line in [
        format!("trial: rendered: {here} MY IMAGE my-image\n"),
        // What a plugin makes of a secret is one.
        format!("provisioner rendered: trial-1 42 <sensitive> {here}; sensitive: [password]\n"),
        format!("post-processor rendered: {here} my image; sensitive: [password]\n"),
    ] {
        assert!(run.stdout.contains(&line), "{line}: {}", run.stdout);
    }
    assert!(!run.stdout.contains("HUNTER22"), "{}", run.stdout);
    // Elsewhere, by a path.
    let other = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.json");
    let run = plugins.ingot(other.path(), &["build", path.to_str().unwrap()]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains(&format!("rendered: {here} MY")), "{}", run.stdout);
}

#[test]
fn an_upgrade_knows_what_installed_plugins_take() {
    let plugins = require!(installed());
    let dir = tempfile::tempdir().unwrap();
    let json = r#"{ "variables": { "texts": "" },
        "builders": [{ "type": "trial", "directory": "x", "texts": "a,b" }],
        "provisioners": [{ "type": "trial", "texts": "{{ user `texts` }}" }] }"#;
    std::fs::write(dir.path().join("t.json"), json).unwrap();
    let run = plugins.ingot(dir.path(), &["hcl2_upgrade", "t.json"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let text = std::fs::read_to_string(dir.path().join("t.json.pkr.hcl")).unwrap();
    for part in ["texts     = [\"a\", \"b\"]", "texts = compact(split(\",\", var.texts))"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let run = plugins.ingot(dir.path(), &["validate", "t.json.pkr.hcl"]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
}

#[test]
fn mistakes_in_actions_are_those_that_the_plugin_finds() {
    let plugins = require!(installed());
    let dir = tempfile::tempdir().unwrap();
    let wrong = JSON
        .replace("{{ template_dir }} {{ user `name` | lower }}", "{{ build `Nothing` | lower }}");
    std::fs::write(dir.path().join("t.json"), wrong).unwrap();
    let run = plugins.ingot(dir.path(), &["validate", "t.json"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("couldnt find Nothing in it"), "{}", run.stdout);
}

#[test]
fn provisioners_and_post_processors_know_which_variables_are_sensitive() {
    let plugins = require!(installed());
    let text = r#"
variable "password" {
  default   = "hunter22"
  sensitive = true
}
variable "keys" {
  type      = list(string)
  default   = ["a-long-key"]
  sensitive = true
}
source "trial" "t" {
  directory = "built"
}
build {
  sources = ["source.trial.t"]
  provisioner "trial" {}
  post-processor "trial" {}
}
"#;
    let dir = template(text);
    let run = plugins.ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    for who in ["provisioner", "post-processor"] {
        let line = format!("{who} rendered: ; sensitive: [keys password]");
        assert!(run.stdout.contains(&line), "{line}: {}", run.stdout);
    }
}
