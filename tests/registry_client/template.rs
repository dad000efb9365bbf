//! Errors of a registry block name its place.

use crate::world::World;

const REST: &str = r#"
variable "secret" {
  default   = "hush"
  sensitive = true
}
source "file" "a" {
  content = "x"
  target  = "a.txt"
}
"#;

/// What a build of a template with this block says, which fails.
fn said(block: &str) -> String {
    let world = World::local();
    let build = "build {\n  sources = [\"source.file.a\"]\n}\n";
    world.write("t.pkr.hcl", &format!("{block}{REST}{build}"));
    let said = world.fails(&["build", "t.pkr.hcl"]);
    assert!(!world.path().join("a.txt").exists(), "nothing is built");
    said
}

#[test]
fn mistakes_are_errors() {
    let cases = [
        ("bucket_name = \"no\"", "this cannot be the name of a bucket"),
        ("bucket_name = \"under_score\"", "3 to 36 ASCII letters, digits and hyphens"),
        ("bucket_labels = { a = var.secret }", "`bucket_labels` holds a sensitive value"),
        ("labels = { a = 1 }\n  bucket_labels = { a = 1 }", "exclude each other"),
        ("description = [1]", "description"),
        ("channels = \"stable\"", "channels"),
        (
            "build_labels = { a = packer.versionFingerprint }",
            "the value of `build_labels` is not known",
        ),
        ("", "there is no bucket to do it in"),
    ];
    for (line, message) in cases {
        let said = said(&format!("hcp_packer_registry {{\n  {line}\n}}\n"));
        assert!(said.contains(message), "{line}: {said}");
        assert!(said.contains("t.pkr.hcl:"), "{line}: {said}");
        assert!(!said.contains("hush"), "{line}: {said}");
    }
    let long = format!("hcp_packer_registry {{\n  description = \"{}\"\n}}\n", "x".repeat(256));
    assert!(said(&long).contains("256 bytes"));
    let twice = "hcp_packer_registry {\n}\nhcp_packer_registry {\n}\n";
    assert!(said(twice).contains("only one `hcp_packer_registry`"));
}

#[test]
fn it_may_stand_in_the_build_block() {
    let world = World::local();
    let build = r#"
build {
  name        = "named"
  description = "by its build"
  hcp_packer_registry {
    bukcet_labels = { a = "1" }
  }
  sources = ["source.file.a"]
}
"#;
    world.write("t.pkr.hcl", &format!("{REST}{build}"));
    world.ok(&["validate", "t.pkr.hcl"]);
    let run = world.build("t.pkr.hcl", "f");
    assert!(run.stdout.contains("in a build block is deprecated"), "{}", run.stdout);
    assert!(run.stdout.contains("has no `bukcet_labels`: it is ignored"), "{}", run.stdout);
    let bucket = world.json(&["buckets", "show", "named"]);
    assert_eq!(bucket["description"], "by its build");

    world.write("t.pkr.hcl", &format!("{REST}{build}{build}"));
    let said = world.fails(&["build", "t.pkr.hcl"]);
    assert!(said.contains("a template that is published has one build block"), "{said}");
    assert!(said.contains("a template has one hcp_packer_registry"), "{said}");
    let off = world.ingot_with(&["build", "t.pkr.hcl"], &[("HCP_PACKER_REGISTRY", "0")]);
    assert_eq!(off.code, Some(0), "{}", off.stdout);

    let bad = [("HCP_PACKER_BUILD_FINGERPRINT", "a b")];
    world.write("t.pkr.hcl", &format!("{REST}{build}"));
    let run = world.ingot_with(&["build", "t.pkr.hcl"], &bad);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("is not a fingerprint"), "{}", run.stdout);
}
