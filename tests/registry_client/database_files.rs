//! What commands leave beside the file of a registry: nothing, however they end. SQLite's log and its
//! index are there only while the file is open.

use crate::world::{World, finish, interrupt};

const BASE: &str = r#"
hcp_packer_registry {
  bucket_name = "base"
}
source "file" "b" {
  content = "base"
  target  = "base.txt"
}
build {
  sources = ["source.file.b"]
  provisioner "shell-local" {
    inline = ["until [ ! -e hold ]; do sleep 0.1; done; test ! -e fail"]
  }
}
"#;

const CHILD: &str = r#"
data "hcp-packer-artifact" "base" {
  bucket_name  = "base"
  channel_name = "latest"
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
}
"#;

/// The files of the registry.
fn files(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.path()).expect("the directory is there").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut files: Vec<String> = names.filter(|name| name.starts_with("registry.db")).collect();
    files.sort();
    files
}

#[test]
fn no_command_leaves_a_log_beside_the_database() {
    let world = World::local();
    world.write("base.pkr.hcl", BASE);
    world.write("child.pkr.hcl", CHILD);
    // The database of a server is one like this.
    world.ok(&["build", "-force", "base.pkr.hcl"]);
    let server = world.path().join("registry.db.served");
    std::fs::copy(world.path().join("registry.db"), &server).expect("it can be copied");
    let server = format!("-database-url={}", server.display());
    // Whether the connections of one that ends are closed in time is chance.
    for round in 0..3 {
        for (args, code) in [
            (&["build", "-force", "base.pkr.hcl"][..], 0),
            (&["build", "-force", "-changed-only", "base.pkr.hcl"], 0),
            (&["build", "-force", "child.pkr.hcl"], 0),
            (&["validate", "-evaluate-datasources", "child.pkr.hcl"], 0),
            (&["plan", "child.pkr.hcl"], 0),
            (&["build", "-stale", "-force", "base.pkr.hcl", "child.pkr.hcl"], 0),
            (&["registry", "buckets", "list"], 0),
            (&["registry", "channels", "assign", "base", "no-channel", "v1"], 1),
            (&["registry", "push"], 0),
            (&["registry", "projects", "list", &server], 0),
        ] {
            let run = world.ingot(args);
            assert_eq!(run.code, Some(code), "{args:?}: {}{}", run.stdout, run.stderr);
            let mut found = files(&world);
            found.retain(|name| name != "registry.db.served");
            assert_eq!(found, ["registry.db"], "round {round}: {args:?}");
        }
    }
    world.write("fail", "");
    let run = world.ingot(&["build", "-force", "base.pkr.hcl"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_eq!(files(&world), ["registry.db", "registry.db.served"]);
    world.write("hold", "");
    let first = [("HCP_PACKER_BUILD_FINGERPRINT", "held")];
    let build = world.spawn_build("base.pkr.hcl", &first);
    world.wait_for("base", "held", "file.b", "BUILD_RUNNING");
    interrupt(&build);
    let run = finish(build);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert_eq!(files(&world), ["registry.db", "registry.db.served"]);
}
