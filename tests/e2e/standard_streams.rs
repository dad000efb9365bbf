//! Standard input and output that are not as they should be.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use ingot_test_support::{NULL, Run, ingot_command, template};

/// `ingot` in `dir`, with its state there.
fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = ingot_command();
    command.args(args).current_dir(dir).env("INGOT_STATE_DIR", dir.join("state"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The same, with `input` on standard input.
fn run_with_input(command: &mut Command, input: &[u8]) -> Run {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    file.rewind().unwrap();
    run(command.stdin(file))
}

/// A template and what the commands below need besides.
fn directory() -> tempfile::TempDir {
    let dir = template(NULL);
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("old.json", r#"{"builders": [{"type": "null", "communicator": "none"}]}"#);
    let package =
        r#"{"type": "library", "name": "curl", "version": "1", "purl": "pkg:deb/debian/curl@1"}"#;
    let bom =
        format!(r#"{{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{package}]}}"#);
    write("sbom.json", &bom);
    dir
}

/// Commands that print what they are called for, and how they end where that is lost.
const ANSWERS: &[(&[&str], i32)] = &[
    (&["plan", "-offline", "."], 1),
    (&["plan", "-offline", "-format=json", "."], 1),
    (&["sbom-generate", "."], 1),
    (&["fix", "old.json"], 1),
    (&["inspect", "."], 1),
    (&["console"], 1),
    (&["cleanup", "-list"], 1),
    (&["cleanup", "-list", "-json"], 1),
    (&["completions", "bash"], 1),
    (&["version"], 1),
    (&["fmt", "-help"], 1),
    // 1 says that they differ.
    (&["diff", "sbom.json", "sbom.json"], 2),
    (&["diff", "-help"], 2),
];

/// What reads a file on a full disk must not take a part of an answer for the whole.
#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let dir = directory();
    for (args, code) in ANSWERS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let run = run(command(dir.path(), args).stdout(full));
        assert_eq!(run.code, Some(*code), "{args:?}: {}", run.stderr);
        let said = "error: cannot write to standard output: No space left on device";
        assert!(run.stderr.contains(said), "{args:?}: {}", run.stderr);
    }
}

/// What is done counts, not what is said of it: the next run would find it done.
#[test]
fn what_is_done_is_no_error_where_nobody_can_read_that() {
    let dir = directory();
    std::fs::write(dir.path().join("wide.pkr.hcl"), "locals {\n  a   = 1\n}\n").unwrap();
    let commands: &[&[&str]] = &[
        &["build", "."],
        &["validate", "."],
        &["fmt", "wide.pkr.hcl"],
        &["cleanup"],
        &["hcl2_upgrade", "-output-file=new.pkr.hcl", "old.json"],
    ];
    for args in commands {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let run = run(command(dir.path(), args).stdout(full));
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
    }
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("wide.pkr.hcl"), "locals {\n  a = 1\n}\n");
    assert!(read("new.pkr.hcl").contains("source \"null\""));
}

/// A token that was made is lost then, so it is an error; but who tries again must know.
#[test]
fn of_a_registry_s_command_whose_output_is_lost_the_error_says_that_it_is_done() {
    let dir = directory();
    let registry = dir.path().join("registry.db");
    let create = ["registry", "buckets", "create", "nightly"];
    let full = File::options().write(true).open("/dev/full").unwrap();
    let lost = run(command(dir.path(), &create).env("INGOT_REGISTRY", &registry).stdout(full));
    assert_eq!(lost.code, Some(1), "{}", lost.stderr);
    let said = "only the output is lost: if the command changed something, that stays";
    assert!(lost.stderr.contains(said), "{}", lost.stderr);
    let again = run(command(dir.path(), &create).env("INGOT_REGISTRY", &registry));
    assert!(again.stderr.contains("there is a bucket \"nightly\" already"), "{}", again.stderr);
}

/// As with `| head -1`.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = directory();
    for (args, _) in ANSWERS {
        let mut child = command(dir.path(), args).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
    }
}

/// It is no end of the input either, after which the value of an earlier line would be the last.
#[test]
fn a_line_for_the_console_that_is_no_text_is_an_error() {
    let dir = directory();
    let last: &[u8] = b"1+2\nupper(\"\xe9\")\n";
    let first: &[u8] = b"upper(\"\xe9\")\n1+1\n";
    for (input, value) in [(last, "3\n"), (first, "2\n")] {
        let run = run_with_input(&mut command(dir.path(), &["console"]), input);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), value), "{}", run.stderr);
        let said = "error: this line is not UTF-8 text: upper(\"\u{fffd}\")";
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
}
