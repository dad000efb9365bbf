//! What happens when things go wrong: `-on-error`, retries, the log.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::running::{DISCARD, container_in, exists, runs, states};
use crate::terminal::{Terminal, there_is_a_terminal};
use ingot_test_support::{
    PATIENCE, Run, docker, docker_template, ingot, ingot_with, null_template, output_of, require,
    template,
};

/// Runs a docker build that fails, with an error-cleanup-provisioner, and removes the container
/// should it be left. Returns the run, whether it was left, and whether the cleanup ran.
fn failing(on_error: &str) -> (Run, bool, bool) {
    let steps = r#"
  provisioner "shell" {
    inline = ["exit 4"]
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["touch cleaned-up"]
  }
"#;
    let dir = template(&docker_template(DISCARD, steps));
    let run = ingot(dir.path(), &["build", "-color=false", on_error, "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("non-zero exit status: 4"), "{}", run.stdout);
    let container = container_in(&run.stdout);
    let left = exists(&container);
    // What was left on purpose is the user's: no later run may remove it.
    assert_eq!(states(dir.path()), 0);
    if left {
        output_of("docker", &["rm", "-f", &container]);
    }
    (run, left, dir.path().join("cleaned-up").exists())
}

#[test]
fn on_error_decides_what_is_left() {
    require!(docker());
    for (flag, left, cleaned) in [
        ("-on-error=cleanup", false, true),
        ("-on-error=abort", true, false),
        ("-on-error=run-cleanup-provisioner", true, true),
        // There is no terminal to ask on.
        ("-on-error=ask", false, true),
    ] {
        let (run, was_left, was_cleaned) = failing(flag);
        assert_eq!((was_left, was_cleaned), (left, cleaned), "{flag}: {}", run.stdout);
    }
}

/// A null build whose step fails when it runs first, with an error-cleanup-provisioner.
const FAILS_ONCE: &str = r#"
  provisioner "shell-local" {
    inline = ["test -e again || { touch again; exit 4; }"]
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["touch cleaned-up"]
  }
"#;

#[test]
fn on_error_is_for_builds_of_what_is_there_already_too() {
    for (flag, cleaned) in [
        ("-on-error=cleanup", true),
        ("-on-error=abort", false),
        ("-on-error=run-cleanup-provisioner", true),
    ] {
        let dir = template(&null_template(FAILS_ONCE));
        let run = ingot(dir.path(), &["build", "-color=false", flag, "."]);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert_eq!(dir.path().join("cleaned-up").exists(), cleaned, "{flag}: {}", run.stdout);
    }
}

#[test]
fn what_is_tried_again_is_not_cleaned_up_before() {
    for (answer, fine) in [("r", true), ("Retry", true), ("c", false), ("", false)] {
        let dir = template(&null_template(FAILS_ONCE));
        let input = format!("{answer}\n");
        let (ended, shown) = on_terminal(dir.path(), "-color=false -on-error=ask", &[], &input);
        assert!(shown.contains("Step \"provision\" failed."), "{shown}");
        assert_eq!((ended, dir.path().join("cleaned-up").exists()), (fine, !fine), "{shown}");
    }
}

#[test]
fn questions_are_asked_on_the_terminal_wherever_standard_input_comes_from() {
    require!(there_is_a_terminal());
    let dir = template(&null_template(FAILS_ONCE));
    let command = "exec $INGOT build -color=false -on-error=ask . </dev/null";
    let mut terminal = Terminal::start(dir.path(), 120, 24, command);
    let asked = |row: &String| row.contains("[c] Clean up and exit");
    terminal.wait_for("a question", |screen| screen.iter().any(asked));
    terminal.press("a\n");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(1), "{}", screen.join("\n"));
    assert!(!dir.path().join("cleaned-up").exists(), "{}", screen.join("\n"));
}

#[test]
fn a_build_in_the_background_of_its_terminal_asks_nobody() {
    require!(there_is_a_terminal());
    let dir = template(&null_template(FAILS_ONCE));
    // The shell of a person gives each job a process group.
    let command =
        "exec bash -mc '$INGOT build -color=false -on-error=ask . & wait $!; echo \"code $?\"'";
    let terminal = Terminal::start(dir.path(), 120, 24, command);
    let (_, screen) = terminal.end();
    let left = screen.join("\n");
    assert!(left.contains("code 1") && !left.contains("[c] Clean up"), "{left}");
    assert!(dir.path().join("cleaned-up").exists(), "{left}");
}

#[test]
fn a_provisioner_that_takes_too_long_is_ended() {
    let steps = r#"
  provisioner "shell-local" {
    inline  = ["echo pid $$", "sleep 300"]
    timeout = "300ms"
  }
"#;
    let dir = template(&null_template(steps));
    let start = Instant::now();
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(start.elapsed() < PATIENCE);
    let said = &run.stdout;
    assert!(said.contains("==> null.n: Setting a 300ms timeout for the next provisioner..."));
    assert!(said.contains("==> null.n: Cancelling provisioner after a timeout..."), "{said}");
    assert!(!runs(said), "the script still runs");
}

#[test]
fn one_build_at_a_time_runs_in_order() {
    let mut text = String::new();
    let names: Vec<String> = (0..20).map(|number| format!("n{}", (number * 7) % 20)).collect();
    for name in &names {
        text += &format!("source \"null\" \"{name}\" {{\n  communicator = \"none\"\n}}\n");
    }
    let sources: Vec<String> = names.iter().map(|name| format!("\"source.null.{name}\"")).collect();
    text += &format!(
        "build {{\n  sources = [{}]\n  provisioner \"shell-local\" {{\n    inline = [\"echo start \
         $PACKER_BUILD_NAME >> log\", \"sleep 0.01\", \"echo end $PACKER_BUILD_NAME >> log\"]\n  \
         }}\n}}\n",
        sources.join(", ")
    );
    for flag in ["-parallel-builds=1", "-debug"] {
        let dir = template(&text);
        let run = ingot(dir.path(), &["build", "-color=false", flag, "."]);
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        let expected: String =
            names.iter().map(|name| format!("start {name}\nend {name}\n")).collect();
        assert_eq!(std::fs::read_to_string(dir.path().join("log")).unwrap(), expected, "{flag}");
    }
}

#[test]
fn lines_can_have_times() {
    let dir = template(&null_template(""));
    for (flag, start) in [("-color=false", ""), ("-machine-readable", ",,ui,say,")] {
        let run = ingot(dir.path(), &["build", flag, "-timestamp-ui", "."]);
        let mut lines = run.stdout.lines();
        let line = lines.find(|line| line.contains("Build 'null.n' finished")).unwrap();
        let (_, text) = line.split_once(start).unwrap();
        let (time, _) = text.split_once(": Build").unwrap();
        let format = &time::format_description::well_known::Rfc3339;
        assert!(time::OffsetDateTime::parse(time, format).is_ok(), "{line}");
    }
}

/// Runs `ingot build` on a terminal of its own, which gets `input`.
fn on_terminal(dir: &Path, args: &str, env: &[(&str, &str)], input: &str) -> (bool, String) {
    command_on_terminal(dir, &format!("build {args} ."), env, input)
}

/// Runs `ingot` with `args` on a terminal of its own, which gets `input`.
fn command_on_terminal(
    dir: &Path,
    args: &str,
    env: &[(&str, &str)],
    input: &str,
) -> (bool, String) {
    let command = format!("{} {args}", ingot_test_support::ingot_program().display());
    let mut child = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(dir)
        .env("INGOT_STATE_DIR", dir.join("state"))
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of util-linux, makes a terminal");
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What stands on standard error obeys the flag, too.
#[test]
fn the_report_of_a_failure_has_no_colours_if_none_are_wanted() {
    let failing = "  provisioner \"shell-local\" {\n    inline = [\"exit 7\"]\n  }\n";
    let dir = template(&null_template(failing));
    for (args, coloured) in [("build .", true), ("build -color=false .", false)] {
        let (succeeded, shown) = command_on_terminal(dir.path(), args, &[], "");
        assert!(!succeeded && shown.contains("build 'null.n' failed in"), "{shown:?}");
        assert_eq!(shown.contains('\u{1b}'), coloured, "{shown:?}");
    }
    for args in ["build -color=false . -dry-run", "plan -color=false -family ./nope"] {
        let (_, shown) = command_on_terminal(dir.path(), args, &[], "");
        assert!(shown.contains("error: ") && !shown.contains('\u{1b}'), "{args}: {shown:?}");
    }
}

#[test]
fn a_terminal_gets_colours_by_default() {
    let dir = template(&null_template(""));
    let colored = "\u{1b}[1;32mnull.n: output will be in this color.\u{1b}[0m";
    let (_, shown) = on_terminal(dir.path(), "", &[], "");
    assert!(shown.contains(colored), "{shown:?}");
    for (args, env) in [("-color=false", ("A", "b")), ("", ("PACKER_NO_COLOR", "1"))] {
        let (_, shown) = on_terminal(dir.path(), args, &[env], "");
        assert!(
            !shown.contains('\u{1b}') && shown.contains("Build 'null.n' finished"),
            "{shown:?}"
        );
    }
    let run = ingot(dir.path(), &["build", "."]);
    assert!(!run.stdout.contains('\u{1b}'), "{:?}", run.stdout);
}

/// The logs of CI systems show colours, and are no terminals.
#[test]
fn a_pipe_gets_colours_when_asked_for() {
    let steps = "  provisioner \"shell-local\" {\n    inline = [\"echo oh >&2; exit 7\"]\n  }\n";
    let dir = template(&null_template(steps));
    let build = |flags: &[&str], env: &[(&str, &str)]| {
        let args = [&["build"], flags, &["."]].concat();
        ingot_with(dir.path(), &args, env)
    };
    for flag in ["-color=true", "-color"] {
        let run = build(&[flag], &[]);
        for coloured in [
            "\u{1b}[1;32mnull.n: output will be in this color.\u{1b}[0m\n",
            "\u{1b}[1;31m==> null.n: oh\u{1b}[0m\n",
        ] {
            assert!(run.stdout.contains(coloured), "{:?}", run.stdout);
        }
        assert!(run.stderr.contains('\u{1b}'), "{:?}", run.stderr);
    }
    for (flags, env) in [
        (&["-color=true"][..], &[("PACKER_NO_COLOR", "1")][..]),
        (&["-color=true", "-color=false"][..], &[][..]),
        (&["-color=true", "-machine-readable"][..], &[][..]),
    ] {
        let run = build(flags, env);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        let shown = run.stdout + &run.stderr;
        assert!(!shown.contains('\u{1b}'), "{flags:?}: {shown:?}");
    }
}

#[test]
fn diagnostics_have_no_colours_where_nobody_wants_them() {
    let dir = template("source \"null\" {}\n");
    let (_, shown) = command_on_terminal(dir.path(), "validate .", &[], "");
    assert!(shown.contains('\u{1b}'), "{shown:?}");
    for name in ["PACKER_NO_COLOR", "NO_COLOR"] {
        let (_, shown) = command_on_terminal(dir.path(), "validate .", &[(name, "1")], "");
        assert!(!shown.contains('\u{1b}') && shown.contains("t.pkr.hcl:1:1"), "{name}: {shown:?}");
    }
}

#[test]
fn a_breakpoint_waits_for_somebody() {
    let steps = "  provisioner \"breakpoint\" {\n    note = \"look\"\n  }";
    let dir = template(&null_template(steps));
    let (fine, shown) = on_terminal(dir.path(), "-color=false", &[], "\n");
    assert!(fine, "{shown}");
    assert!(shown.contains("Pausing at breakpoint provisioner with note \"look\"."), "{shown}");
    // Nobody can continue where there is no terminal; the build fails rather than wait for ever.
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("disable = true"), "{}", run.stdout);
}

#[test]
fn sleep_waits() {
    let dir = template(&null_template("  provisioner \"sleep\" {\n    duration = \"300ms\"\n  }"));
    let start = Instant::now();
    assert_eq!(ingot(dir.path(), &["build", "."]).code, Some(0));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn names_without_a_value_are_a_warning() {
    let steps = r#"
  provisioner "shell-local" {
    inline = ["echo '{{.Id}}'"]
  }
  provisioner "shell-local" {
    inline = ["echo '${build.Host}'"]
  }
"#;
    let dir = template(&null_template(steps));
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("inline: `.Id` has no value before the build"), "{}", run.stdout);
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    let warning =
        "==> null.n: Warning: build.Host is \"<unknown>\": the null builder does not say.";
    assert!(run.stdout.contains(warning), "{}", run.stdout);
}

#[test]
fn temporary_files_go_where_the_environment_says() {
    let steps = "  provisioner \"shell-local\" {\n    inline = [\"echo script=$0\"]\n  }";
    let dir = template(&null_template(steps));
    let tmp = dir.path().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    let env = [("TMPDIR", tmp.to_str().unwrap())];
    let run = ingot_with(dir.path(), &["build", "-color=false", "."], &env);
    let line = format!("script={}/", tmp.display());
    assert!(run.stdout.contains(&line), "{}", run.stdout);
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0, "nothing stays there");
}

#[test]
fn secrets_are_hidden_everywhere() {
    const SECRET: &str = "hunter2-is-secret";
    let text = r#"
variable "password" {
  sensitive = true
}
locals {
  derived = "prefix-${var.password}"
}
source "file" "f" {
  content = "not shown"
  target  = "f"
}
build {
  sources = ["source.file.f"]
  provisioner "shell-local" {
    inline           = ["echo out ${var.password}", "echo err $PW >&2", "printf %s $PW | cut -c1-200"]
    environment_vars = ["PW=${local.derived}"]
  }
  post-processor "manifest" {
    custom_data = {
      password = var.password
    }
  }
  post-processor "shell-local" {
    inline = ["echo ${var.password}; exit 1"]
  }
}
"#;
    for flags in [&["-color=false"][..], &["-machine-readable"]] {
        let dir = template(text);
        let log = dir.path().join("log");
        let env = [
            ("PKR_VAR_password", SECRET),
            ("PACKER_LOG", "TRACE"),
            ("PACKER_LOG_PATH", log.to_str().unwrap()),
        ];
        let run = ingot_with(dir.path(), &[&["build"], flags, &["."]].concat(), &env);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert!(run.stdout.contains("out <sensitive>"), "{}", run.stdout);
        let log = std::fs::read_to_string(log).unwrap();
        assert!(!log.is_empty(), "nothing was logged");
        let manifest = std::fs::read_to_string(dir.path().join("packer-manifest.json")).unwrap();
        assert!(manifest.contains(r#""password": "<sensitive>""#), "{manifest}");
        for (text, place) in [
            (&run.stdout, "standard output"),
            (&run.stderr, "standard error"),
            (&log, "the log"),
            (&manifest, "the manifest"),
        ] {
            assert!(!text.contains(SECRET), "the secret is in {place}: {text}");
        }
    }
}

#[test]
fn the_log_goes_to_standard_error_when_asked_for() {
    let dir = template(&null_template(""));
    let quiet = ingot_with(dir.path(), &["build", "."], &[("PACKER_LOG", "0")]);
    assert_eq!(quiet.stderr, "");
    let loud = ingot_with(dir.path(), &["build", "."], &[("PACKER_LOG", "1")]);
    assert!(loud.stderr.contains("null"), "{:?}", loud.stderr);
    // What is printed is the same but for the durations.
    assert_eq!(quiet.stdout.lines().count(), loud.stdout.lines().count());
}

#[test]
fn a_file_for_the_log_gets_the_log_of_one_run() {
    let dir = template(&null_template(""));
    let log = dir.path().join("log");
    let path = ("PACKER_LOG_PATH", log.to_str().unwrap());
    // As with Packer it is enough to name the file.
    for command in ["validate", "build", "inspect"] {
        let run = ingot_with(dir.path(), &[command, "."], &[("PACKER_LOG", ""), path]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(text.matches("Ingot version=").count(), 1, "{command}: {text}");
    }
    std::fs::remove_file(&log).unwrap();
    let run = ingot_with(dir.path(), &["validate", "."], &[("PACKER_LOG", "0"), path]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(!log.exists());

    let nowhere = dir.path().join("missing/log");
    let nowhere = [("PACKER_LOG", ""), ("PACKER_LOG_PATH", nowhere.to_str().unwrap())];
    let run = ingot_with(dir.path(), &["build", "."], &nowhere);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("the log cannot be written to"), "{}", run.stderr);
}

#[test]
fn the_script_of_a_killed_build_is_removed_by_the_next() {
    let steps = "  provisioner \"shell-local\" {\n    inline = [\"sleep 5 # hunter2222\"]\n  }";
    let dir = template(&null_template(steps));
    let mut child = ingot_test_support::ingot_command()
        .args(["build", "-color=false", "."])
        .current_dir(dir.path())
        .env("INGOT_STATE_DIR", dir.path().join("state"))
        .env("TMPDIR", dir.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = std::io::BufReader::new(child.stdout.take().expect("it is a pipe"));
    let line = std::io::BufRead::lines(stdout)
        .map(Result::unwrap)
        .find(|line| line.contains("Running local shell script: "))
        .expect("the script is named");
    let script = std::path::PathBuf::from(line.rsplit(' ').next().unwrap());
    assert!(std::fs::read_to_string(&script).unwrap().contains("hunter2222"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(script.exists(), "nobody was there to remove it");
    std::fs::write(dir.path().join("t.pkr.hcl"), null_template("")).unwrap();
    let run = ingot(dir.path(), &["build", "."]);
    assert!(!script.exists(), "{}", run.stdout);
    assert!(run.stdout.contains("which an interrupted run left behind"), "{}", run.stdout);
}

#[test]
fn the_first_error_is_the_one_that_is_reported() {
    let steps = r#"
  provisioner "shell-local" {
    inline = ["exit 41"]
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["exit 42"]
  }
"#;
    let dir = template(&null_template(steps));
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(1));
    let summary = run.stdout.split("had errors:").nth(1).unwrap();
    assert!(summary.contains("exit status: 41"), "{}", run.stdout);
}
