//! Which words in commands and other options are files, in plans and in what is published.

use crate::plan::state;
use crate::world::World;

/// Writes a template that runs commands with `shell-local`.
fn write(world: &World, commands: &str) {
    let text = r#"
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
    only_on = ["linux"]
    inline  = [COMMANDS]
  }
}
"#;
    world.write("web.pkr.hcl", &text.replace("COMMANDS", commands));
}

#[test]
fn directories_that_are_named_as_other_words_do_not_count() {
    let world = World::local();
    for directory in ["test", "linux"] {
        std::fs::create_dir(world.path().join(directory)).expect("a directory");
    }
    write(&world, r#""test -d test", "date +%N > test/last", "date +%N > linux/last""#);
    world.build("web.pkr.hcl", "one");
    assert_eq!(state(&world, &[]), ("unchanged".to_owned(), Vec::new()));
}

#[test]
fn a_script_that_is_there_since_is_no_change() {
    let world = World::local();
    world.write("make.sh", "echo true > made.sh\n");
    write(&world, r#""sh make.sh", "sh made.sh""#);
    world.build("web.pkr.hcl", "one");
    assert!(world.path().join("made.sh").exists());
    assert_eq!(state(&world, &[]), ("unchanged".to_owned(), Vec::new()));
    world.write("make.sh", "echo : > made.sh\n");
    let why = "the content of <path.root>/make.sh".to_owned();
    assert_eq!(state(&world, &[]), ("changed".to_owned(), vec![why]));
}

#[test]
fn nothing_is_published_of_files_that_may_be_secrets() {
    let world = World::local();
    for file in ["check.sh", "settings", "token.sh"] {
        world.write(file, "PIN=4711\n");
    }
    write(&world, r#""sh ./check.sh", ". ./settings", "sh token.sh""#);
    world.build("web.pkr.hcl", "one");
    world.ok(&["registry", "export", "all.json"]);
    let all = std::fs::read_to_string(world.path().join("all.json")).expect("the export");
    assert!(all.contains("<path.root>/check.sh"), "{all}");
    for secret in ["<path.root>/settings", "<path.root>/token.sh"] {
        assert!(!all.contains(secret), "{all}");
    }
}
