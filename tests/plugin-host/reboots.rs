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
