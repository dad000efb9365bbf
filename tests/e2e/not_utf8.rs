//! Files of other encodings than UTF-8, as some editors save them, and names of directories.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ingot_test_support::{Run, ingot, ingot_command, null_template};

/// A directory with files of these bytes.
fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

/// What a run says that ends with `code`.
fn said(dir: &Path, args: &[&str], code: i32) -> String {
    let Run { code: ended, stdout, stderr } = ingot(dir, args);
    assert_eq!(ended, Some(code), "{args:?}: {stdout}{stderr}");
    stdout + &stderr
}

const TEMPLATE: &[u8] = b"# gepr\xfcft\nvariable \"v\" {}\nsource \"null\" \"n\" {\n  \
    communicator = \"none\"\n}\nbuild {\n  sources = [\"null.n\"] /* \xe9\xff */\n  \
    provisioner \"shell-local\" {\n    inline = [\"echo v is ${var.v}\"] // \xe9\n  }\n}\n";

#[test]
fn comments_of_hcl_may_have_any_bytes() {
    let dir = directory(&[
        ("t.pkr.hcl", TEMPLATE),
        ("t.ingot.hcl", b"# \xe9\n"),
        ("v.pkrvars.hcl", b"# \xfc\nv = \"x\"\n"),
    ]);
    let run = said(dir.path(), &["build", "-var-file=v.pkrvars.hcl", "t.pkr.hcl"], 0);
    assert!(run.contains("null.n: v is x\n") && !run.contains("UTF-8"), "{run}");
    // Places after them are true.
    let bytes = b"# \xe9\nlocals {\n  a = [1, /* \xfc\xfc */ nope]\n}\nbuild {}\n";
    std::fs::write(dir.path().join("t.pkr.hcl"), bytes).unwrap();
    let run = said(dir.path(), &["validate", "t.pkr.hcl"], 1);
    assert!(run.contains("┌─ t.pkr.hcl:3:20\n"), "{run}");
}

#[test]
fn what_is_not_utf8_elsewhere_in_hcl_is_an_error_with_its_line() {
    let dir = directory(&[
        ("t.pkr.hcl", b"# \xe9\nlocals {\n  a = \"\xe9\"\n}\n"),
        ("good.pkr.hcl", TEMPLATE),
        ("v.pkrvars.hcl", b"\nv = \"\xfc\"\n"),
    ]);
    let run = said(dir.path(), &["validate", "t.pkr.hcl"], 1);
    assert!(run.contains("cannot read t.pkr.hcl: line 3 is not UTF-8 text"), "{run}");
    let run = said(dir.path(), &["validate", "-var-file=v.pkrvars.hcl", "good.pkr.hcl"], 1);
    assert!(run.contains("cannot read v.pkrvars.hcl: line 2 is not UTF-8 text"), "{run}");
}

#[test]
fn fmt_keeps_comments_as_they_are() {
    let ugly = b"locals {\na=1 # \xe9\n}\n";
    let dir = directory(&[("good.pkr.hcl", TEMPLATE), ("ugly.pkr.hcl", ugly)]);
    said(dir.path(), &["fmt", "-check", "good.pkr.hcl"], 0);
    said(dir.path(), &["fmt", "ugly.pkr.hcl"], 0);
    let formatted = b"locals {\n  a = 1 # \xe9\n}\n";
    assert_eq!(std::fs::read(dir.path().join("ugly.pkr.hcl")).unwrap(), formatted);
}

#[test]
fn strings_of_json_are_read_with_a_warning() {
    const WARNING: &str =
        "warning: this is not UTF-8 text: each byte that is not is read as U+FFFD\n";
    let legacy = b"{\n  \"variables\": {\"v\": \"\"},\n  \
        \"builders\": [{\"type\": \"null\", \"communicator\": \"none\"}],\n  \
        \"provisioners\": [{\"type\": \"shell-local\", \"inline\": [\"echo caf\xe9 {{user `v`}}\"]}]\n}\n";
    let hcl = b"{\"source\": {\"null\": {\"n\": {\"communicator\": \"none\"}}}, \"build\": [{\n\
        \"sources\": [\"null.n\"], \"provisioner\": [{\"shell-local\": {\"inline\": [\"echo caf\xe9\"]}}]}]}\n";
    let values = b"{\n\"v\": \"\xe2\x82 geheim\"}\n";
    let dir = directory(&[("old.json", legacy), ("t.pkr.json", hcl), ("v.json", values)]);
    let run = said(dir.path(), &["build", "old.json"], 0);
    assert!(run.contains("null: caf\u{fffd}\n") && run.contains(WARNING), "{run}");
    assert!(run.contains("┌─ old.json:4:"), "{run}");
    let run = said(dir.path(), &["fix", "old.json"], 0);
    assert!(run.contains("\"echo caf\u{fffd} {{user `v`}}\"") && run.contains(WARNING), "{run}");
    let run = said(dir.path(), &["build", "t.pkr.json"], 0);
    assert!(run.contains("null.n: caf\u{fffd}\n") && run.contains("┌─ t.pkr.json:2:"), "{run}");
    // Of files of variables no line is shown.
    let run = said(dir.path(), &["validate", "-var-file=v.json", "old.json"], 0);
    assert!(run.contains(WARNING) && run.contains("┌─ v.json:2:7\n"), "{run}");
    assert!(!run.contains("geheim"), "{run}");
}

/// As below a home directory `/home/Andr\u{e9}` of an older system.
#[test]
fn scripts_run_in_directories_whose_names_are_not_utf8() {
    let steps = "  provisioner \"shell-local\" {\n    inline = [\"echo inline\"]\n  }\n  \
                 provisioner \"shell-local\" {\n    script = \"file.sh\"\n  }\n";
    let dir = tempfile::tempdir().unwrap();
    let named = dir.path().join(OsStr::from_bytes(b"d\xe9"));
    std::fs::create_dir(&named).unwrap();
    std::fs::write(named.join("t.pkr.hcl"), null_template(steps)).unwrap();
    let script = named.join("file.sh");
    std::fs::write(&script, "#!/bin/sh\necho file\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = ingot_command();
    command.args(["build", "-color=false", "."]).current_dir(&named).env("TMPDIR", &named);
    let output = command.env("INGOT_STATE_DIR", dir.path().join("state")).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("null.n: inline\n") && said.contains("null.n: file\n"), "{said}");
}

/// As of a tool that cuts a text in the middle of an emoji.
#[test]
fn a_half_of_a_character_is_read_with_a_warning() {
    const WARNING: &str = "warning: this is half of a character, which is read as U+FFFD\n";
    let legacy = br#"{"builders": [{"type": "null", "communicator": "none"}],
        "provisioners": [{"type": "shell-local", "inline": ["echo a\ud83d x \ud83d\ude00"]}]}"#;
    let hcl = br#"{"source": {"null": {"n": {"communicator": "none"}}}, "build": [{
        "sources": ["null.n"], "provisioner": [{"shell-local": {"inline": ["echo a\ud83d x \ud83d\ude00"]}}]}]}"#;
    let dir = directory(&[("old.json", legacy), ("t.pkr.json", hcl)]);
    let run = said(dir.path(), &["fix", "old.json"], 0);
    assert!(run.contains("\"echo a\u{fffd} x \u{1f600}\"") && run.contains(WARNING), "{run}");
    for name in ["old.json", "t.pkr.json"] {
        let run = said(dir.path(), &["build", name], 0);
        assert!(run.contains("a\u{fffd} x \u{1f600}\n"), "{run}");
        assert!(run.contains(WARNING), "{run}");
    }
}
