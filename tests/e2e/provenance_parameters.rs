//! The variables that the statements of `post-processor "provenance"` name.

use std::path::Path;

use serde_json::{Value, json};

use crate::provenance::{read, said};
use ingot_test_support::{ingot_with, template};

const REDACTED: &str = "[sensitive value redacted]";

/// `userVariables` of the statement that a build writes.
fn attested(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Value {
    let built = ingot_with(dir, args, env);
    assert_eq!(built.code, Some(0), "{}", said(&built));
    let mut files = std::fs::read_dir(dir.join("out")).unwrap().map(|file| file.unwrap().path());
    let statement = files.find(|file| file.to_string_lossy().ends_with(".provenance.json"));
    let statement = read(&statement.expect("there is a statement"));
    let definition = &statement["predicate"]["buildDefinition"];
    definition["externalParameters"]["userVariables"].clone()
}

#[test]
fn variables_are_attested_as_the_build_has_them() {
    let dir = template(
        r#"
variable "version" { default = "0" }
variable "region" { default = "a" }
variable "tag" { default = "a" }
variable "left" { default = "alone" }
variable "winrm_password" { default = "" }
variable "key" { default = "" }
variable "disk_size" { default = 20480 }
variable "fast" {
  type    = bool
  default = false
}
variable "zones" {
  type    = list(string)
  default = []
}
variable "pin" {
  type      = number
  default   = 42
  sensitive = true
}
variable "keys" {
  type      = list(string)
  default   = []
  sensitive = true
}
source "file" "f" {
  content = var.version
  target  = "out/disk.img"
}
build {
  sources = ["source.file.f"]
  post-processor "provenance" {
    user_variables = { pin = var.pin, code = var.pin, digits = "${var.pin}", named = var.tag }
  }
}
"#,
    );
    std::fs::write(dir.path().join("x.auto.pkrvars.hcl"), "region = \"b\"\n").unwrap();
    // Nobody said that these may be known.
    let text = "tag = \"c\"\nwinrm_password = \"from a file\"\n";
    std::fs::write(dir.path().join("v.pkrvars.hcl"), text).unwrap();
    let env = [
        ("PKR_VAR_version", "1.0"),
        ("PKR_VAR_region", "from the environment"),
        ("PKR_VAR_disk_size", "1024"),
        ("PKR_VAR_fast", "true"),
        ("PKR_VAR_zones", "[\"a\", \"b\"]"),
        ("PKR_VAR_keys", "[\"k1\"]"),
        ("PKR_VAR_unknown", "is not declared"),
    ];
    let args =
        ["build", "-var", "version=2.0", "-var", "key=from a flag", "-var-file=v.pkrvars.hcl", "."];
    assert_eq!(
        attested(dir.path(), &args, &env),
        json!({
            "version": "2.0",
            "region": "b",
            "disk_size": "1024",
            "fast": "true",
            "zones": "[\"a\",\"b\"]",
            "keys": REDACTED,
            "pin": REDACTED,
            "code": REDACTED,
            "digits": REDACTED,
            "named": "c",
        })
    );
    assert_eq!(std::fs::read_to_string(dir.path().join("out/disk.img")).unwrap(), "2.0");
}

#[test]
fn the_environment_sets_no_variable_of_a_json_template() {
    let dir = tempfile::tempdir().unwrap();
    let text = json!({
        "variables": {"a": "1", "b": "2"},
        "builders": [{"type": "file", "content": "{{user `a`}}", "target": "out/disk.img"}],
        "post-processors": ["provenance"],
    });
    std::fs::write(dir.path().join("t.json"), text.to_string()).unwrap();
    // A file may be for several templates.
    let values = json!({"b": "3", "password": "of another template"});
    std::fs::write(dir.path().join("v.json"), values.to_string()).unwrap();
    let args = ["build", "-var-file=v.json", "t.json"];
    let variables = attested(dir.path(), &args, &[("PKR_VAR_a", "9")]);
    assert_eq!(variables, Value::Null);
    assert_eq!(std::fs::read_to_string(dir.path().join("out/disk.img")).unwrap(), "1");
}
