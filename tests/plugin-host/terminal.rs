//! Plugin programs, when `ingot` is on a terminal.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::builds::{FAILING, any_plugin_runs};
use crate::installed::{Installed, installed};
use ingot_test_support::{null_template, require, template};

/// `ingot build` in a directory, on a terminal, which `script` gives it.
fn on_a_terminal(plugins: &Installed, dir: &Path, args: &str) -> Child {
    let command = plugins.command(dir, &[]);
    let ingot = command.get_program().to_string_lossy().into_owned();
    let line = format!("'{ingot}' build -color=false {args} .");
    let mut script = Command::new("timeout");
    script.args(["120", "script", "-qec", &line, "/dev/null"]).current_dir(dir);
    for (name, value) in command.get_envs() {
        script.env(name, value.unwrap_or_default());
    }
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_plugin_that_wants_the_terminal_is_ended_with_an_error() {
    let plugins = require!(installed());
    let step = "  provisioner \"trial\" {\n    fail = \"ask\"\n  }\n";
    let dir = template(&null_template(step));
    let mut child = on_a_terminal(&plugins, dir.path(), "");
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = "the plugin packer-plugin-trial failed: it, or what it started, wanted to use the \
                    terminal while";
    assert!(said.contains(expected), "{said}");
    assert!(!any_plugin_runs(plugins.directory()), "{said}");
}

#[test]
fn a_plugin_asks_the_user() {
    let plugins = require!(installed());
    let dir = template(FAILING);
    let mut child = on_a_terminal(&plugins, dir.path(), "-on-error=ask");
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"y\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Leave the directory? [y/n]"), "{said}");
    assert!(dir.path().join("built").exists(), "{said}");
    drop(stdin);
}
