//! Files in places where no other file can be put beside them or in their place.

use std::fs::{create_dir, read_to_string, write};
use std::path::Path;

use ingot_test_support::{Run, ingot_program, left_in_state, missing, program};
use serde_json::json;

const UNFORMATTED: &str = "source \"null\" \"n\" {\n    communicator = \"none\"\n}\nbuild {\n  sources = [\"source.null.n\"]\n  post-processor \"manifest\" {\n    output = \"out/manifest.json\"\n  }\n}\n";

/// The same in canonical layout, which is shorter.
fn formatted() -> String {
    UNFORMATTED.replace("    communicator", "  communicator")
}

/// Runs Ingot in a place that `mount` makes, which nobody else sees.
fn mounted(dir: &Path, mount: &str, args: &[&str]) -> Option<Run> {
    if !rustix::process::geteuid().is_root() {
        missing("only root may mount");
        return None;
    }
    let script = format!("set -e\n{mount}\nexec \"$0\" \"$@\"");
    let ingot = ingot_program();
    let ingot = ingot.to_str().unwrap();
    let args = [&["-m", "sh", "-c", &script, ingot][..], args].concat();
    let state = dir.join("state");
    let env = [("INGOT_STATE_DIR", state.to_str().unwrap())];
    Some(program("unshare", dir, &args, &env))
}

#[test]
fn a_template_that_is_mounted_by_itself_is_formatted() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write(at("theirs"), UNFORMATTED).unwrap();
    write(at("a.pkr.hcl"), "").unwrap();
    let mount = "mount --bind theirs a.pkr.hcl";
    let Some(run) = mounted(dir.path(), mount, &["fmt", "a.pkr.hcl"]) else { return };
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(read_to_string(at("theirs")).unwrap(), formatted());
    // Where no file can be put beside it either.
    write(at("theirs"), UNFORMATTED).unwrap();
    create_dir(at("d")).unwrap();
    write(at("d/a.pkr.hcl"), "").unwrap();
    let mount = "mount --bind d d\nmount --bind theirs d/a.pkr.hcl\nmount -o remount,bind,ro d";
    let run = mounted(dir.path(), mount, &["fmt", "d/a.pkr.hcl"]).unwrap();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(read_to_string(at("theirs")).unwrap(), formatted());
}

#[test]
fn a_file_in_a_directory_that_can_only_be_read_is_written_to_and_leaves_nothing_to_clean_up() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write(at("a.pkr.hcl"), UNFORMATTED).unwrap();
    create_dir(at("out")).unwrap();
    write(at("out/manifest.json"), "").unwrap();
    write(at("theirs"), "").unwrap();
    let mount =
        "mount --bind out out\nmount --bind theirs out/manifest.json\nmount -o remount,bind,ro out";
    let Some(run) = mounted(dir.path(), mount, &["build", "a.pkr.hcl"]) else { return };
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let manifest = read_to_string(at("theirs")).unwrap();
    assert!(manifest.contains("\"builder_type\": \"null\""), "{manifest}");
    let left = mounted(dir.path(), "", &["cleanup", "-list"]).unwrap();
    assert!(
        left.stdout.contains("Nothing is left of interrupted runs."),
        "{}{}",
        left.stdout,
        left.stderr
    );
}

#[test]
fn what_is_not_in_a_file_system_that_can_only_be_read_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    create_dir(at("out")).unwrap();
    create_dir(at("state")).unwrap();
    let unfinished = at("out/.manifest.json.1.unfinished");
    let lines = [
        json!({ "run": "7d1f", "template": "/far/t.pkr.hcl", "started": 1_700_000_000 }),
        json!({ "record": 1, "resource": { "kind": "unfinished-file", "id": unfinished } }),
    ];
    // Nobody has this process number.
    write(at("state/0-1-a.journal"), lines.map(|line| format!("{line}\n")).concat()).unwrap();
    let mount = "mount --bind out out\nmount -o remount,bind,ro out";
    let Some(run) = mounted(dir.path(), mount, &["cleanup"]) else { return };
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.ends_with("Removed 1 thing.\n"), "{}", run.stdout);
    assert_eq!(left_in_state(&at("state"), &[]), [""; 0]);
}

#[test]
fn a_disk_that_is_full_because_of_what_is_replaced_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("a.pkr.hcl"), UNFORMATTED).unwrap();
    create_dir(dir.path().join("out")).unwrap();
    // What is there takes the only page.
    let mount = "mount -t tmpfs -o size=4k none out\necho '{}' >out/manifest.json";
    let Some(run) = mounted(dir.path(), mount, &["build", "a.pkr.hcl"]) else { return };
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let said = format!("{}{}", run.stdout, run.stderr);
    let advice = "out/manifest.json stays until the new one is whole: remove it first";
    assert!(said.contains(advice), "{said}");
}
