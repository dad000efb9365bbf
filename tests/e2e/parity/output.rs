//! What is printed, line by line.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::compare;
use super::peer::{peer, run, write};

const TEMPLATE: &str = r#"
variable "secret" {
  default   = "hidden, word"
  sensitive = true
}
variable "plain" {
  default = "shown"
}
locals {
  both = "${var.plain}!"
}
source "null" "n" {
  communicator = "none"
}
source "file" "f" {
  content = "abc"
  target  = "f.txt"
}
build {
  name    = "one"
  sources = ["source.null.n"]
  provisioner "shell-local" {
    inline       = ["echo said ${var.secret}; echo; sleep 0.3", "echo complained >&2; exit 1"]
    max_retries  = 1
    pause_before = "1ms"
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["echo cleaned"]
  }
}
build {
  description = "of files"
  sources     = ["source.file.f"]
  post-processors {
    post-processor "checksum" {
      name           = "sum"
      checksum_types = ["md5"]
      output         = "f.md5"
    }
    post-processor "manifest" {}
  }
  post-processor "compress" {
    name   = "pack"
    output = "f.tar"
  }
}
"#;

/// The lines of a run, without what differs from run to run and from Packer on purpose.
fn lines(text: &str, tool: &str) -> Vec<String> {
    static VOLATILE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let duration = r"(\d+ (micro|milli)?seconds?)( \d+ (micro|milli)?seconds?)?";
        [
            (r"^\d{10,},", "TIME,"),
            (r"^\d{4}-\d\d-\d\dT[0-9:]+(Z|[+-]\d\d:\d\d): ", "STAMP: "),
            (duration, "DURATION"),
            (r"/tmp/(packer|ingot)-shell\w+", "/tmp/SCRIPT"),
            (r"(Ingot|Packer) v[0-9.]+", "NAME VERSION"),
            (r",version,[0-9.]+", ",version,VERSION"),
            (r"with pgzip", "with gzip"),
            (r"with \d+ cores?", "with N cores"),
        ]
        .map(|(pattern, with)| (Regex::new(pattern).expect("a pattern"), with))
        .into()
    });
    let mut lines: Vec<String> = Vec::new();
    for line in compare::steady(text).lines() {
        let mut line = line.to_owned();
        for (pattern, with) in VOLATILE.iter() {
            line = pattern.replace_all(&line, *with).into_owned();
        }
        // Ingot says what the user may not know.
        let added = tool == "i" && line.contains("Interrupt again to stop");
        if !added {
            lines.push(line);
        }
    }
    lines
}

/// What both print, and their exit codes.
fn both(template: &str, args: &[&str]) -> Option<[(Option<i32>, Vec<String>); 2]> {
    let peer = peer()?;
    if peer.version < (1, 16, 0) {
        eprintln!("skipped: what older versions of Packer print is not what 1.16 prints");
        return None;
    }
    let say = |program: &Path, tool: &str| {
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), &[("t.pkr.hcl", template)]);
        let run = run(program, dir.path(), args);
        assert!(!run.stdout.contains("hidden, word"), "{}", run.stdout);
        // Ingot reports there what failed.
        let reported = tool == "i" && run.stderr.starts_with("\nerror: build '");
        assert!(reported || run.stderr.is_empty(), "only the log goes there: {}", run.stderr);
        (run.code, lines(&run.stdout, tool))
    };
    Some([say(&peer.program, "p"), say(&ingot_test_support::ingot_program(), "i")])
}

fn same(template: &str, args: &[&str]) {
    let Some([theirs, ours]) = both(template, args) else { return };
    assert_eq!(theirs.0, ours.0, "exit code of {args:?}: {theirs:?} {ours:?}");
    compare::same(&theirs.1.join("\n"), &ours.1.join("\n"), &format!("output of {args:?}"));
    assert_eq!(theirs.1, ours.1, "the order of lines of {args:?}");
}

#[test]
fn builds_say_the_same() {
    for only in ["-only=file.f", "-only=one.*"] {
        same(TEMPLATE, &["build", "-color=false", only, "."]);
        same(TEMPLATE, &["build", "-machine-readable", only, "."]);
    }
    same(TEMPLATE, &["build", "-color=false", "-timestamp-ui", "-only=one.*", "."]);
}

#[test]
fn the_other_commands_say_the_same() {
    same(TEMPLATE, &["validate", "."]);
    same(TEMPLATE, &["validate", "-machine-readable", "."]);
    same(TEMPLATE, &["validate", "-syntax-only", "."]);
    same(TEMPLATE, &["inspect", "."]);
    same(TEMPLATE, &["inspect", "-machine-readable", "."]);
    same(TEMPLATE, &["version"]);
    same(TEMPLATE, &["version", "-machine-readable"]);
}

#[test]
fn errors_of_templates_are_reported_in_the_same_place() {
    let wrong = TEMPLATE.replace("inline       =", "inlin        =");
    for args in [["validate", "-machine-readable", "."], ["build", "-machine-readable", "."]] {
        let Some(runs) = both(&wrong, &args) else { return };
        for (code, lines) in runs {
            assert_eq!(code, Some(1), "{lines:?}");
            // Packer goes on with the builds that are in order; Ingot builds nothing then.
            assert!(lines[0].starts_with("TIME,,ui,error,"), "{lines:?}");
            assert!(lines[0].contains("inlin"), "{lines:?}");
        }
    }
}

/// The `error` lines of what failed, which tools read.
#[test]
fn failed_post_processors_say_the_same() {
    let step = |code: u8| {
        format!("  post-processor \"shell-local\" {{\n    inline = [\"exit {code}\"]\n  }}\n")
    };
    for steps in [step(3), step(3) + &step(4)] {
        let template = format!(
            "source \"file\" \"f\" {{\n  content = \"abc\"\n  target  = \"f.txt\"\n}}\nbuild {{\n  \
             sources = [\"source.file.f\"]\n{steps}}}\n"
        );
        let Some(runs) = both(&template, &["build", "-machine-readable", "."]) else { return };
        let [theirs, ours] = runs.map(|(code, lines)| {
            let errors = lines.into_iter().filter(|line| line.starts_with("TIME,file.f,error,"));
            (code, errors.collect::<Vec<_>>())
        });
        assert_eq!(theirs, ours);
        assert_eq!(ours.1.len(), 1, "{ours:?}");
    }
}

#[test]
fn an_error_cleanup_provisioner_that_fails_says_the_same() {
    let template = TEMPLATE.replace("echo cleaned", "exit 6");
    same(&template, &["build", "-color=false", "-only=one.*", "."]);
    same(&template, &["build", "-machine-readable", "-only=one.*", "."]);
}
