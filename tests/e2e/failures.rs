//! What a build that fails leaves: a report with its place, and its log.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ingot_test_support::disk::Disk;
use ingot_test_support::{
    BASE, Run, docker, docker_template, ingot, ingot_with, null_template, output_of, require,
    template,
};

use crate::running::Running;

/// The logs that are kept in a directory's state.
fn logs(dir: &Path) -> Vec<PathBuf> {
    let runs = std::fs::read_dir(dir.join("state/logs")).into_iter().flatten().flatten();
    let files = runs.flat_map(|run| std::fs::read_dir(run.path()).into_iter().flatten().flatten());
    files.map(|file| file.path()).collect()
}

const FAILING: &str = r#"
variable "token" {
  default   = "s3cr3t-value"
  sensitive = true
}
source "null" "good" {
  communicator = "none"
}
source "null" "bad" {
  communicator = "none"
}
build {
  sources = ["null.good", "null.bad"]
  provisioner "shell-local" {
    inline = ["echo before"]
  }
  provisioner "shell-local" {
    only   = ["null.bad"]
    inline = ["for i in $(seq 1 50); do echo line $i; done", "echo token is ${var.token}", "exit 7"]
  }
}
"#;

/// What FAILING ends with on standard output.
fn ends_as_packer_does(run: &Run) {
    let last = "\n==> Builds finished. The artifacts of successful builds are:\n\
                --> null.good: Did not export anything. This is the null builder\n";
    assert!(run.stdout.ends_with(last), "{}", run.stdout);
}

#[test]
fn a_failed_build_ends_with_its_step_place_last_lines_and_log() {
    let dir = template(FAILING);
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    ends_as_packer_does(&run);
    let [log] = &logs(dir.path())[..] else { panic!("{:?}", logs(dir.path())) };
    let output: Vec<String> = (32..=50).map(|n| format!("     line {n}\n")).collect();
    let wanted = format!(
        "error: build 'null.bad' failed in provisioner `shell-local` (2 of 2)\n   \
         ┌─ ./t.pkr.hcl:17:3\n   │\n\
         17 │   provisioner \"shell-local\" {{\n   │   \
         ^^^^^^^^^^^^^^^^^^^^^^^^^ Script exited with non-zero exit status: 7. Allowed exit codes \
         are: [0]\n   │\n   = the last lines of its output:\n{}     token is <sensitive>\n   = its log is {}\n",
        output.concat(),
        log.display()
    );
    assert!(run.stderr.contains(&wanted), "{}\nwanted:\n{wanted}", run.stderr);
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.contains("SAID     line 1\n") && text.contains(" DEBUG "), "{text}");
    assert!(text.contains("token is <sensitive>") && !text.contains("s3cr3t"), "{text}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(log), mode(log.parent().unwrap())), (0o600, 0o700));
    assert!(log.file_name().unwrap().to_str().unwrap() == "02-null.bad.log", "{log:?}");
}

#[test]
fn errors_are_among_the_last_lines_and_nothing_of_programs_moves_the_terminal() {
    let dir = template(
        r#"
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    inline = [
      "echo no such package >&2; sleep 0.5",
      "printf '\\033]0;title\\007\\033[2Jclean\\033[0Ksection_start:1:x\\n'",
      "for i in $(seq 1 15); do echo line $i; done",
      "for i in $(seq 16 30); do echo line $i; done",
      "exit 3",
    ]
  }
}
"#,
    );
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let (_, last) = run.stderr.split_once("the last lines of its output:\n").unwrap();
    assert!(last.starts_with("    no such package\n    line 12\n"), "{last}");
    let noisy = std::fs::read_to_string(dir.path().join("t.pkr.hcl")).unwrap();
    std::fs::write(dir.path().join("t.pkr.hcl"), noisy.replace("seq 1 15", "seq 16 15")).unwrap();
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    let (_, last) = run.stderr.split_once("the last lines of its output:\n").unwrap();
    assert!(last.contains("    cleansection_start:1:x\n"), "{last:?}");
    assert!(!last.contains(['\u{1b}', '\u{7}']), "{last:?}");
    let env = [("INGOT_CI", ""), ("GITLAB_CI", "true"), ("GITHUB_ACTIONS", "")];
    std::fs::write(
        dir.path().join("u.pkr.hcl"),
        "source \"null\" \"other\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = \
         [\"null.other\"]\n}\n",
    )
    .unwrap();
    let run = ingot_with(dir.path(), &["build", "-color=false", "."], &env);
    assert!(run.stdout.contains("\n| cleansection_start:1:x\n"), "{:?}", run.stdout);
}

#[test]
fn logs_are_kept_only_of_what_fails_and_can_be_turned_off() {
    let dir = template(FAILING);
    let run = ingot(dir.path(), &["build", "-only=null.good", "."]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
    assert!(!dir.path().join("state/logs").exists());
    for off in ["off", "false"] {
        let run = ingot_with(dir.path(), &["build", "."], &[("INGOT_BUILD_LOG", off)]);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert!(run.stderr.contains("failed in provisioner") && !run.stderr.contains("log is"));
        assert!(!run.stdout.contains("INGOT_BUILD_LOG"), "{}", run.stdout);
        assert!(!dir.path().join("state/logs").exists());
    }
    let run = ingot_with(dir.path(), &["build", "."], &[("INGOT_BUILD_LOG", "never")]);
    assert!(run.stderr.contains("log is"), "{}", run.stderr);
    let warning = "Warning: INGOT_BUILD_LOG is \"never\", neither on nor off";
    assert!(run.stdout.contains(warning), "{}", run.stdout);
}

#[test]
fn machine_readable_output_gets_no_report() {
    let dir = template(FAILING);
    let run = ingot_with(
        dir.path(),
        &["-machine-readable", "build", "."],
        &[("INGOT_CI", ""), ("GITHUB_ACTIONS", "true")],
    );
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""), "{}", run.stdout);
    assert!(!run.stdout.contains("::group") && !run.stdout.contains("log is"), "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.split(',').count() > 2), "{}", run.stdout);
}

#[test]
fn a_directory_of_logs_that_cannot_be_written_fails_no_build() {
    let dir = template(FAILING);
    std::fs::create_dir(dir.path().join("state")).unwrap();
    std::fs::write(dir.path().join("state/logs"), "in the way").unwrap();
    let run = ingot(dir.path(), &["build", "-only=null.good", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

/// As in a container that runs with a user id of its own.
#[test]
fn a_build_needs_no_home_directory_that_can_be_written_to() {
    let file = "source \"file\" \"f\" {\n  content = \"x\"\n  target = \"out\"\n}\nbuild {\n  \
                sources = [\"file.f\"]\n}\n";
    let dir = template(file);
    let (home, temporary) = (dir.path().join("home"), dir.path().join("temporary"));
    std::fs::create_dir(&home).unwrap();
    std::fs::create_dir(&temporary).unwrap();
    // In the way of a directory, also for root.
    std::fs::write(home.join(".local"), "").unwrap();
    let build = |env: &[(&str, &Path)]| {
        let mut command = ingot_test_support::ingot_command();
        command.args(["build", "-color=false", "-force", "."]).current_dir(dir.path());
        command.env_remove("INGOT_STATE_DIR").env_remove("XDG_STATE_HOME");
        command.env("HOME", &home).env("TMPDIR", &temporary).envs(env.iter().copied());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = build(&[]);
    assert_eq!(code, Some(0), "{said}");
    let warning = format!("Warning: {}/.local/state/ingot cannot be written to", home.display());
    assert_eq!(said.matches(&warning).count(), 1, "{said}");
    // The second one where a container cannot write to the first.
    let name = format!("ingot-{}", home.metadata().unwrap().uid());
    let state = [Path::new("/var/tmp"), temporary.as_path()].map(|place| place.join(&name));
    let state = state.iter().find(|path| said.contains(&format!("is in {}. ", path.display())));
    let state = state.unwrap_or_else(|| panic!("{said}"));
    assert_eq!(state.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(said.contains("It may be lost at a reboot or with this job."), "{said}");
    // What is named is used, or is an error that says so.
    let named = home.join(".local/named");
    let (code, said) = build(&[("INGOT_STATE_DIR", named.as_path())]);
    assert_eq!(code, Some(1), "{said}");
    let told = format!("writing the journal of created resources in {}: ", named.display());
    assert!(said.contains(&told), "{said}");
    assert!(said.contains("help: INGOT_STATE_DIR names another directory"), "{said}");
}

/// As where a quota is used up.
#[test]
fn a_build_needs_no_room_in_the_home_directory() {
    let disk = require!(Disk::mount(1));
    disk.fill();
    let file = "source \"file\" \"f\" {\n  content = \"x\"\n  target = \"out\"\n}\nbuild {\n  \
                sources = [\"file.f\"]\n}\n";
    let dir = template(file);
    let mut command = ingot_test_support::ingot_command();
    command.args(["build", "-color=false", "-report=r.json", "."]).current_dir(dir.path());
    command.env_remove("INGOT_STATE_DIR").env_remove("XDG_STATE_HOME");
    let output = command.env("HOME", disk.path()).env("TMPDIR", dir.path()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let home = disk.path().display();
    let warning =
        format!("Warning: {home}/.local/state/ingot cannot be written to: No space left on device");
    assert_eq!(said.matches(&warning).count(), 1, "{said}");
    assert_eq!(std::fs::read_to_string(dir.path().join("out")).unwrap(), "x");
    assert!(dir.path().join("r.json").exists(), "{said}");
}

#[test]
fn where_a_script_cannot_be_written_its_path_and_tmpdir_are_named() {
    let steps = "  provisioner \"shell-local\" {\n    inline = [\"echo hello\"]\n  }\n";
    let dir = template(&null_template(steps));
    let missing = dir.path().join("missing");
    let env = [("TMPDIR", missing.to_str().unwrap())];
    let run = ingot_with(dir.path(), &["build", "-color=false", "."], &env);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, Some(1), "{said}");
    let script = format!("writing the inline script {}/ingot-shell", missing.display());
    assert!(said.contains(&script), "{said}");
    assert!(said.contains("TMPDIR names another directory for temporary files"), "{said}");
}

#[test]
fn an_environment_that_is_too_long_is_not_looked_for_in_path() {
    let value = "x".repeat(300_000);
    let steps = format!(
        "  provisioner \"shell-local\" {{\n    inline = [\"true\"]\n    env = {{ W = \"{value}\" }}\n  }}\n"
    );
    let dir = template(&null_template(&steps));
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, Some(1), "{said}");
    assert!(said.contains("cannot run /bin/sh: Argument list too long"), "{said}");
    assert!(said.contains("128 KiB") && !said.contains("PATH"), "{said}");
}

/// A run by cron may have no home directory that it can write to; who cleans up has one.
#[test]
fn what_a_run_without_a_home_directory_left_is_found_with_one() {
    let dir = tempfile::tempdir().unwrap();
    let (home, temporary) = (dir.path().join("home"), dir.path().join("temporary"));
    std::fs::create_dir(&home).unwrap();
    let state = temporary.join(format!("ingot-{}", home.metadata().unwrap().uid()));
    std::fs::create_dir_all(&state).unwrap();
    let half = dir.path().join("half").display().to_string();
    let record = serde_json::json!({
        "record": 1, "resource": { "kind": "unfinished-file", "id": half }, "build": "b", "at": 5,
    });
    let run = r#"{"run":"r","template":"/t.pkr.hcl","started":1}"#;
    let journal = format!("{run}\n{record}\n");
    // No process has this number.
    std::fs::write(state.join("4000000000-1-x.journal"), journal).unwrap();
    // What others can have written is not believed.
    for (mode, found) in [(0o777, false), (0o700, true)] {
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut command = ingot_test_support::ingot_command();
        command.args(["cleanup", "-list"]).current_dir(dir.path());
        command.env_remove("INGOT_STATE_DIR").env_remove("XDG_STATE_HOME");
        let output = command.env("HOME", &home).env("TMPDIR", &temporary).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(said.contains(&half), found, "{mode:o}: {said}");
    }
}

#[test]
fn the_log_of_a_killed_run_stays() {
    let text = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = \
                [\"null.n\"]\n  provisioner \"shell-local\" {\n    inline = [\"echo asleep; sleep \
                300\"]\n  }\n}\n";
    let mut run = Running::start(text, &["-color=false"]);
    run.wait_for("asleep");
    run.signal("KILL");
    run.end();
    let [log] = &logs(run.dir.path())[..] else { panic!("{:?}", logs(run.dir.path())) };
    assert!(std::fs::read_to_string(log).unwrap().contains("SAID     asleep\n"));
}

#[test]
fn a_disk_without_room_for_a_log_fails_no_build() {
    let noisy = FAILING.replace("seq 1 50", "seq 1 400");
    for (exit, code) in [("exit 0", 0), ("exit 7", 1)] {
        let dir = template(&noisy.replace("exit 7", exit));
        // No file may be longer than 4 KiB: what is written beyond fails as on a full disk.
        let limited = format!(
            "ulimit -f 8; trap '' XFSZ; exec {} build -color=false -only=null.bad .",
            ingot_test_support::ingot_program().display()
        );
        let state = dir.path().join("state");
        let env = [("INGOT_STATE_DIR", state.to_str().unwrap()), ("INGOT_CI", "off")];
        let run = ingot_test_support::program("sh", dir.path(), &["-c", &limited], &env);
        assert_eq!(run.code, Some(code), "{}{}", run.stdout, run.stderr);
        let told = "its log, which is incomplete (File too large (os error 27)), is ";
        assert_eq!(run.stderr.contains(told), code == 1, "{}", run.stderr);
        assert_eq!(logs(dir.path()).len(), usize::from(code == 1));
    }
}

#[test]
fn a_builder_s_own_step_is_named_at_its_source_block() {
    require!(docker());
    let dir = template(&format!(
        "source \"docker\" \"d\" {{\n  image = \"{BASE}\"\n  pull = false\n  discard = true\n  \
         run_command = [\"-d\", \"-i\", \"-t\", \"--entrypoint=/no/such/program\", \"--\", \"{{{{.Image}}}}\"]\n}}\n\
         build {{\n  sources = [\"docker.d\"]\n}}\n"
    ));
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stderr
            .contains("error: build 'docker.d' failed in step `start container` of the builder"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("./t.pkr.hcl:1:1"), "{}", run.stderr);
}

#[test]
fn a_build_fails_for_what_a_post_processor_said_also_where_the_artifact_stays() {
    require!(docker());
    let name = format!("ingot-e2e-left-{}", std::process::id());
    // An image with two names is not removed by its id.
    let steps = format!(
        r#"
  post-processor "shell-local" {{
    inline = [
      "id=$(docker images -q --no-trunc -f label=name={name})",
      "docker tag $id {name}:1",
      "docker tag $id {name}:2",
      "exit 3",
    ]
  }}
"#
    );
    let options = format!("commit = true\n  changes = [\"LABEL name={name}\"]");
    let dir = template(&docker_template(&options, &steps));
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    output_of("docker", &["rmi", &format!("{name}:1"), &format!("{name}:2")]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let (_, verdict) = run.stdout.split_once("Build 'docker.d' errored after ").unwrap();
    let (verdict, _) = verdict.split_once("\n\n==> ").unwrap();
    assert!(verdict.contains("non-zero exit status: 3"), "{}", run.stdout);
    let left = "docker.d: It may be left over: removing the image sha256:";
    assert!(run.stdout.contains(left), "{}", run.stdout);
}

#[test]
fn an_error_cleanup_provisioner_that_fails_is_part_of_the_error() {
    let steps = r#"
  provisioner "shell-local" {
    inline = ["exit 5"]
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["exit 6"]
  }
"#;
    let dir = template(&null_template(steps));
    // Packer's words.
    let failed = |status: u8| {
        format!("Script exited with non-zero exit status: {status}. Allowed exit codes are: [0]")
    };
    let error =
        format!("Cleanup failed: {}. Original Provisioning error: {}\n", failed(6), failed(5));
    for flag in ["-on-error=cleanup", "-on-error=run-cleanup-provisioner"] {
        let run = ingot(dir.path(), &["build", "-color=false", flag, "."]);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        // When the build ends, and in the summary.
        assert_eq!(run.stdout.matches(&error).count(), 2, "{}", run.stdout);
        assert!(run.stderr.contains("failed in provisioner `shell-local`"), "{}", run.stderr);
    }
    let run = ingot(dir.path(), &["build", "-machine-readable", "."]);
    assert!(run.stdout.contains(&format!(",null.n,error,{error}")), "{}", run.stdout);
}

#[test]
fn a_file_for_the_log_gets_the_error_of_any_command() {
    let dir = template(&null_template(""));
    let path = dir.path().join("packer.log");
    let env = [("PACKER_LOG", ""), ("PACKER_LOG_PATH", path.to_str().unwrap())];
    for (args, error) in [
        (&["fmt", "nope"][..], "nope"),
        (&["fix", "nope.json"][..], "nope.json"),
        (&["hcl2_upgrade", "nope.json"][..], "nope.json"),
        (&["build", "-nope", "."][..], "`ingot build` has no flag -nope"),
        (&["build", "-dry-run", "."][..], "-stale is missing"),
        (&["build"][..], "error: "),
    ] {
        std::fs::write(&path, "the run before\n").unwrap();
        let run = ingot_with(dir.path(), args, &env);
        assert_eq!(run.code, Some(1), "{args:?}: {}{}", run.stdout, run.stderr);
        let log = std::fs::read_to_string(&path).unwrap();
        let told = log.lines().any(|line| line.contains("ui error: ") && line.contains(error));
        assert!(told && !log.contains("the run before"), "{args:?}: {log}");
    }
    // A script of a build has the build's log.
    std::fs::write(&path, "the build so far\n").unwrap();
    let of_script = [&env[..], &[("PACKER_BUILD_NAME", "n")]].concat();
    let run = ingot_with(dir.path(), &["fmt", "nope"], &of_script);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let log = std::fs::read_to_string(&path).unwrap();
    assert!(log.starts_with("the build so far\n") && log.contains("ui error: "), "{log}");
    if !cfg!(feature = "registry-server") {
        return;
    }
    // A server has one log of all its runs.
    std::fs::write(&path, "the run before\n").unwrap();
    let run = ingot_with(dir.path(), &["registry", "serve", "-nope"], &env);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let log = std::fs::read_to_string(&path).unwrap();
    assert!(log.starts_with("the run before\n") && log.contains("ui error: "), "{log}");
}

/// What CI keeps of a job that failed.
#[test]
fn a_file_for_the_log_gets_the_output_and_the_errors() {
    let token = "variable \"token\" {\n  default   = \"s3cr3t-value\"\n  sensitive = true\n}\n";
    let steps = r#"
  provisioner "shell-local" {
    inline = ["echo UNIQUE", "echo ${var.token} >&2", "exit 4"]
  }
"#;
    let dir = template(&format!("{token}{}", null_template(steps)));
    let path = dir.path().join("packer.log");
    let env = [("PACKER_LOG", "1"), ("PACKER_LOG_PATH", path.to_str().unwrap())];
    let error = "Script exited with non-zero exit status: 4. Allowed exit codes are: [0]";
    let lines = [
        "ui: ==> null.n: UNIQUE\n".to_owned(),
        "ui error: ==> null.n: <sensitive>\n".to_owned(),
        format!("ui error: --> null.n: {error}\n"),
        format!("machine readable: null.n,error [{error:?}]\n"),
    ];
    for flag in ["-color=true", "-machine-readable"] {
        let run = ingot_with(dir.path(), &["build", flag, "."], &env);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        let log = std::fs::read_to_string(&path).unwrap();
        for line in &lines {
            assert_eq!(log.matches(line).count(), 1, "{line:?}: {log}");
        }
        assert!(!log.contains("s3cr3t-value") && !log.contains('\u{1b}'), "{log}");
    }
    // Where the lines stand already, they do not stand twice.
    let run = ingot_with(dir.path(), &["build", "."], &[("PACKER_LOG", "1")]);
    assert!(!run.stderr.contains("ui: ==>"), "{}", run.stderr);
    assert_eq!(logs(dir.path()).len(), 3);
    for kept in logs(dir.path()) {
        let kept = std::fs::read_to_string(kept).unwrap();
        assert!(kept.contains("UNIQUE") && !kept.contains("ui error: "), "{kept}");
    }
    // What is wrong before anything is built.
    for command in ["build", "validate"] {
        let run = ingot_with(dir.path(), &[command, "nope.pkr.hcl"], &env);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        let log = std::fs::read_to_string(&path).unwrap();
        let told =
            log.lines().any(|line| line.contains("ui error: ") && line.contains("nope.pkr.hcl"));
        assert!(told, "{log}");
    }
}
