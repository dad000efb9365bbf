//! Running the binary, and the real parts that tests need.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Once;

/// How a run of `ingot` ended.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `ingot` in a folder.
pub fn ingot(dir: &Path, args: &[&str]) -> Run {
    ingot_with(dir, args, &[])
}

/// Runs `ingot` in a folder, with variables in its environment.
pub fn ingot_with(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    let state = dir.join("state");
    let state = state.to_str().expect("folders of tests have plain names");
    let env = [env, &[("INGOT_STATE_DIR", state)]].concat();
    program(env!("CARGO_BIN_EXE_ingot"), dir, args, &env)
}

/// Runs a program in a folder, with variables in its environment.
pub fn program(name: &str, dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    let output: Output = Command::new(name)
        .args(args)
        .current_dir(dir)
        .envs(env.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("{name} cannot be run: {error}"));
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A folder with one template in it.
pub fn template(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder for the test");
    std::fs::write(dir.path().join("t.pkr.hcl"), text).expect("the template is written");
    dir
}

/// The template of a null build with `steps` in its build block.
pub fn null_template(steps: &str) -> String {
    format!(
        "source \"null\" \"n\" {{\n  communicator = \"none\"\n}}\nbuild {{\n  sources = \
         [\"source.null.n\"]\n{steps}\n}}\n"
    )
}

/// The template of a docker build with `options` in its source and `steps` in its build block.
pub fn docker_template(options: &str, steps: &str) -> String {
    format!(
        "source \"docker\" \"d\" {{\n  image = \"{BASE}\"\n  pull = false\n  {options}\n}}\nbuild \
         {{\n  sources = [\"source.docker.d\"]\n{steps}\n}}\n"
    )
}

/// Runs a program and returns what it printed.
pub fn output_of(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("the program can be run");
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Sends a signal to a process. The shell does it: a minimal machine has no `kill` program.
pub fn signal(name: &str, pid: impl std::fmt::Display) {
    output_of("sh", &["-c", &format!("kill -s {name} {pid}")]);
}

/// A build that does nothing, for templates whose other blocks matter.
pub const NULL: &str = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = [\"source.null.n\"]\n}\n";

pub const BASE: &str = "ingot-e2e-base:1";

/// Whether there is Docker; makes the base image the first time. Without Docker a test fails
/// under CI and is skipped elsewhere.
pub fn docker() -> bool {
    static BASE_IMAGE: Once = Once::new();
    let there = Command::new("docker").arg("info").output().is_ok_and(|out| out.status.success());
    if !there {
        assert!(std::env::var_os("CI").is_none(), "CI needs a Docker Engine");
        eprintln!("skipped: no Docker Engine answers");
        return false;
    }
    BASE_IMAGE.call_once(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hello-docker/base.sh");
        output_of(script, &[BASE]);
    });
    true
}
