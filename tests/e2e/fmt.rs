//! `ingot fmt`: layout, flags and exit codes.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use ingot_test_support::{Run, ingot};

const UGLY: &str = "a=1\nbbb   = 2\n";
const NEAT: &str = "a   = 1\nbbb = 2\n";

/// Runs `ingot fmt` with a text on its standard input.
fn with_input(args: &[&str], input: &str) -> Run {
    let mut child = ingot_test_support::ingot_command()
        .arg("fmt")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A directory with files in it.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn text_of(dir: &tempfile::TempDir, name: &str) -> String {
    std::fs::read_to_string(dir.path().join(name)).unwrap()
}

#[test]
fn layout_is_that_of_packer() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/fmt");
    let mut count = 0;
    for entry in std::fs::read_dir(cases).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap();
        let Some(stem) = name.strip_suffix(".in.hcl") else { continue };
        let wanted = std::fs::read_to_string(format!("{stem}.out.hcl")).unwrap();
        let run = with_input(&["-"], &std::fs::read_to_string(name).unwrap());
        assert_eq!((run.code, run.stdout), (Some(0), wanted.clone()), "{name} {}", run.stderr);
        assert_eq!(with_input(&["-"], &wanted).stdout, wanted, "{name} again");
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn directories_are_formatted_and_the_changed_files_are_named() {
    let files = [
        ("a.pkr.hcl", UGLY),
        ("b.pkrvars.hcl", UGLY),
        ("c.auto.pkrvars.hcl", UGLY),
        ("d.pkr.hcl", NEAT),
        ("e.hcl", UGLY),
        ("f.pkr.json", "{}"),
        (".g.pkr.hcl", UGLY),
        ("#h.pkr.hcl#", UGLY),
        ("deep/er/i.pkr.hcl", UGLY),
        (".hidden/j.pkr.hcl", UGLY),
    ];
    let dir = directory(&files);
    let run = ingot(dir.path(), &["fmt", "."]);
    let named = "a.pkr.hcl\nb.pkrvars.hcl\nc.auto.pkrvars.hcl\n";
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), named, ""));
    assert_eq!(text_of(&dir, "b.pkrvars.hcl"), NEAT);
    for untouched in ["e.hcl", ".g.pkr.hcl", "#h.pkr.hcl#", "deep/er/i.pkr.hcl"] {
        assert_eq!(text_of(&dir, untouched), UGLY, "{untouched}");
    }
    assert_eq!(ingot(dir.path(), &["fmt", "."]).stdout, "");

    let run = ingot(dir.path(), &["fmt", "-recursive", "."]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "deep/er/i.pkr.hcl\n"));
    assert_eq!(text_of(&dir, ".hidden/j.pkr.hcl"), UGLY);
}

#[test]
fn check_and_diff_leave_files_alone() {
    let dir = directory(&[("a.pkr.hcl", UGLY), ("b.pkr.hcl", NEAT)]);
    let run = ingot(dir.path(), &["fmt", "-check", "a.pkr.hcl", "b.pkr.hcl"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), "a.pkr.hcl\n"));
    let run = ingot(dir.path(), &["fmt", "-check", "b.pkr.hcl"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    let run = ingot(dir.path(), &["fmt", "-write=false", "-diff", "."]);
    let diff = "a.pkr.hcl\n--- old/a.pkr.hcl\n+++ new/a.pkr.hcl\n@@ -1,2 +1,2 @@\n-a=1\n-bbb   = 2\n+a   = 1\n+bbb = 2\n";
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), diff));
    assert_eq!(text_of(&dir, "a.pkr.hcl"), UGLY);
}

#[test]
fn standard_input_is_formatted_to_standard_output() {
    let run = with_input(&["-"], UGLY);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), NEAT));
    let run = with_input(&["-check", "-"], UGLY);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""));
    let run = with_input(&["-check", "-"], NEAT);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), NEAT));
    let run = with_input(&["-"], "a = 'x'\n");
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("<stdin>:1:5"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_parsed_stays_as_it_is_and_the_rest_is_formatted() {
    let broken = "a=1\nb = \"x\nc='y'\n";
    let dir = directory(&[("a.pkr.hcl", broken), ("b.pkr.hcl", UGLY), ("c.txt", UGLY)]);
    let run = ingot(dir.path(), &["fmt", "."]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), "b.pkr.hcl\n"));
    assert!(run.stderr.contains("a.pkr.hcl:2:5"), "{}", run.stderr);
    assert!(run.stderr.contains("a.pkr.hcl:3:3"), "{}", run.stderr);
    assert_eq!(text_of(&dir, "a.pkr.hcl"), broken);
    assert_eq!(text_of(&dir, "b.pkr.hcl"), NEAT);
    let run = ingot(dir.path(), &["fmt", "-check", "."]);
    assert_eq!(run.code, Some(1), "an error outweighs 3");

    // A line of a template is shown, also of one whose only block is broken.
    std::fs::write(dir.path().join("only.pkr.hcl"), "source \"null\" \"n\" {\n  b = \n}\n")
        .unwrap();
    let run = ingot(dir.path(), &["fmt", "only.pkr.hcl"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("2 │   b = "), "{}", run.stderr);
    assert!(run.stderr.contains("the value of `b` is missing"), "{}", run.stderr);

    // A file of variables may hold a secret.
    std::fs::write(dir.path().join("v.pkrvars.hcl"), "password = \"hunter2\n").unwrap();
    let run = ingot(dir.path(), &["fmt", "v.pkrvars.hcl"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("v.pkrvars.hcl:1:12"), "{}", run.stderr);
    assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    let run = ingot(dir.path(), &["fmt", "c.txt"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("c.txt is not a template"), "{}", run.stderr);
    let run = ingot(dir.path(), &["fmt", "none.pkr.hcl"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("none.pkr.hcl"), "{}", run.stderr);
    std::fs::write(dir.path().join("d.pkr.hcl"), b"a = 1\nb = \"\xff\"\n").unwrap();
    let run = ingot(dir.path(), &["fmt", "d.pkr.hcl"]);
    assert!(run.stderr.contains("d.pkr.hcl: line 2 is not UTF-8"), "{}", run.stderr);
    assert_eq!(ingot(dir.path(), &["fmt"]).code, Some(1));
}

#[cfg(unix)]
#[test]
fn permissions_and_links_stay() {
    use std::os::unix::fs::PermissionsExt;
    let dir = directory(&[("real/a.pkr.hcl", UGLY)]);
    let real = dir.path().join("real/a.pkr.hcl");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    let link = dir.path().join("link.pkr.hcl");
    std::os::unix::fs::symlink("real/a.pkr.hcl", &link).unwrap();
    let run = ingot(dir.path(), &["fmt", "."]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "link.pkr.hcl\n"));
    assert_eq!(text_of(&dir, "real/a.pkr.hcl"), NEAT);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(dir.path().join("real")).unwrap().count(), 1);
}
