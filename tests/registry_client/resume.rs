//! A version that a build which was kept completes.

use crate::world::World;

fn template(script: &str) -> String {
    format!(
        r#"
hcp_packer_registry {{
  bucket_name = "resumed"
}}
source "file" "whole" {{
  content = "x"
  target  = "whole.txt"
}}
source "file" "mended" {{
  content = "y"
  target  = "mended.txt"
}}
build {{
  sources = ["source.file.whole", "source.file.mended"]
  provisioner "shell-local" {{
    only   = ["file.mended"]
    inline = ["{script}"]
  }}
}}
"#
    )
}

#[test]
fn a_build_that_goes_on_completes_the_version_that_was_begun() {
    let world = World::local();
    world.write("t.pkr.hcl", &template("exit 3"));
    let failed = world.ingot(&["build", "-on-error=keep", "t.pkr.hcl"]);
    assert_eq!(failed.code, Some(1), "{}{}", failed.stdout, failed.stderr);
    world.write("t.pkr.hcl", &template("true"));
    let done = world.ingot(&["build", "-resume", "t.pkr.hcl"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let skipped = "Nothing is kept of 'file.whole': it is not built.";
    assert!(done.stdout.contains(skipped), "{}", done.stdout);
    let versions = world.json(&["versions", "list", "resumed"]);
    let versions = versions["versions"].as_array().or(versions.as_array()).expect("a list");
    assert_eq!(versions.len(), 1, "{versions:?}");
    assert_eq!(versions[0]["status"], "VERSION_ACTIVE", "{versions:?}");
}

#[test]
fn what_is_published_again_is_what_was_built_last() {
    let world = World::local();
    world.write(
        "t.pkr.hcl",
        r#"
variable "day" {}
hcp_packer_registry {
  bucket_name = "again"
}
source "file" "f" {
  content = var.day
  target  = "${var.day}.txt"
}
build {
  sources = ["source.file.f"]
}
"#,
    );
    world.ok(&["build", "-on-error=keep", "-var=day=monday", "t.pkr.hcl"]);
    world.ok(&["build", "-var=day=tuesday", "t.pkr.hcl"]);
    world.ok(&["build", "-only-post-processors", "-var=day=tuesday", "t.pkr.hcl"]);
    let latest = world.json(&["channels", "show", "again", "latest"])["version"].clone();
    assert_eq!(latest["name"], "v3");
    let latest = latest["fingerprint"].as_str().expect("a fingerprint");
    let version = world.json(&["versions", "show", "again", latest]).to_string();
    assert!(version.contains("tuesday.txt") && !version.contains("monday"), "{version}");
}
