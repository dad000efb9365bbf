//! Machines of plugins' builders that reboot while they are provisioned.

use ingot_test_support::{require, template};

use crate::installed::installed;

#[test]
fn a_machine_that_reboots_is_waited_for() {
    let plugins = require!(installed());
    let dir = template(
        r#"
source "trial" "t" {
  directory = "built"
}
build {
  sources = ["source.trial.t"]
  # Removing the script finds the machine away.
  provisioner "shell" {
    inline            = ["echo 2 > rebooting"]
    remote_folder     = "."
    remote_file       = "removed.sh"
    expect_disconnect = true
  }
  # The upload of the next script does.
  provisioner "shell" {
    inline            = ["echo 2 > rebooting"]
    remote_folder     = "."
    remote_file       = "kept.sh"
    expect_disconnect = true
    skip_clean        = true
  }
  provisioner "shell" {
    inline        = ["echo done > after"]
    remote_folder = "."
  }
}
"#,
    );
    let run = plugins.ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let retried = run.stdout.lines().filter(|line| {
        line.contains("Could not start the script, retrying") && line.contains("refused")
    });
    assert_eq!(retried.count(), 1, "{}", run.stdout);
    let files = std::fs::read_dir(dir.path().join("built")).unwrap().flatten();
    let mut names: Vec<_> = files.map(|file| file.file_name()).collect();
    names.sort();
    assert_eq!(names, ["after", "kept.sh"], "{}", run.stdout);
}

#[test]
fn a_script_that_ends_a_winrm_connection_is_not_run_again() {
    let plugins = require!(installed());
    let dir = template(
        r#"
source "trial" "t" {
  directory  = "built"
  connection = "winrm"
}
build {
  sources = ["source.trial.t"]
  # The upload of the next script and the look after it find the machine away.
  provisioner "shell" {
    inline            = ["echo ran >> runs", "test $(wc -l < runs) -gt 1 || echo 2 > rebooting"]
    remote_folder     = "."
    expect_disconnect = true
    skip_clean        = true
  }
  provisioner "shell" {
    inline        = ["echo done > after"]
    remote_folder = "."
  }
  # Nobody expects this one.
  provisioner "shell" {
    inline        = ["echo ran >> fails", "test $(wc -l < fails) -gt 1 || echo 1 > rebooting"]
    remote_folder = "."
  }
}
"#,
    );
    let run = plugins.ingot(dir.path(), &["build", "-on-error=abort", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("Script disconnected unexpectedly"), "{}", run.stdout);
    assert!(run.stdout.contains("5985/wsman: EOF"), "{}", run.stdout);
    let read = |name: &str| std::fs::read_to_string(dir.path().join("built").join(name));
    for (name, text) in [("runs", "ran\n"), ("after", "done\n"), ("fails", "ran\n")] {
        assert_eq!(read(name).unwrap_or_default(), text, "{name}: {}", run.stdout);
    }
    let retried = run.stdout.matches("Could not start the script, retrying").count();
    assert_eq!(retried, 1, "{}", run.stdout);
}

#[test]
fn a_file_that_cannot_be_written_is_not_tried_again() {
    let plugins = require!(installed());
    let dir = template(
        r#"
source "trial" "t" {
  directory = "built"
}
build {
  sources = ["source.trial.t"]
  provisioner "shell" {
    inline        = ["echo ran"]
    remote_folder = "/nope"
  }
}
"#,
    );
    let run = plugins.ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("no such file or directory"), "{}", run.stdout);
    assert!(!run.stdout.contains("retrying"), "{}", run.stdout);
}
