//! Running the program, and others.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How a run of a program ended.
#[derive(Debug)]
pub struct Run {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Where Cargo puts what it builds for this run of the tests: `target/debug`, as a rule.
pub fn target_directory() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    test.ancestors().nth(2).expect("tests are in target/PROFILE/deps").to_owned()
}

/// The program `ingot`, built for the tests of the package `ingot`.
pub fn ingot_program() -> PathBuf {
    match std::env::var_os("CARGO_BIN_EXE_ingot") {
        Some(path) => path.into(),
        None => target_directory().join("ingot"),
    }
}

/// A path of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A plugin directory that is not there: tests must not depend on the plugins that this machine has.
fn no_plugins() -> PathBuf {
    target_directory().join("no-plugins")
}

/// A command that runs `ingot`, without plugins that are programs of their own.
pub fn ingot_command() -> Command {
    let mut command = Command::new(ingot_program());
    // Tests may run in a CI system, for which Ingot writes more.
    command.env("PACKER_PLUGIN_PATH", no_plugins()).env("INGOT_CI", "off");
    command
}

/// Runs `ingot` in a directory.
pub fn ingot(dir: &Path, args: &[&str]) -> Run {
    ingot_with(dir, args, &[])
}

/// Runs `ingot` in a directory, with variables in its environment.
pub fn ingot_with(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    let state = dir.join("state");
    let state = state.to_str().expect("directories of tests have plain names");
    let plugins = no_plugins();
    let plugins = plugins.to_str().expect("a plain name");
    let own = [("INGOT_STATE_DIR", state), ("PACKER_PLUGIN_PATH", plugins), ("INGOT_CI", "off")];
    let env = [&own[..], env].concat();
    let path = ingot_program();
    program(path.to_str().expect("a plain name"), dir, args, &env)
}

/// As [`ingot`], as a user whom permissions hold for: root is one without these capabilities.
pub fn ingot_without_privileges(dir: &Path, args: &[&str]) -> Run {
    if output_of("id", &["-u"]) != "0" {
        return ingot(dir, args);
    }
    let [binary, state, plugins] = [ingot_program(), dir.join("state"), no_plugins()]
        .map(|path| path.to_str().expect("a plain name").to_owned());
    let dropped =
        ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--", &binary];
    let env = [
        ("INGOT_STATE_DIR", state.as_str()),
        ("PACKER_PLUGIN_PATH", plugins.as_str()),
        ("INGOT_CI", "off"),
    ];
    program("setpriv", dir, &[&dropped[..], args].concat(), &env)
}

/// Runs a program in a directory, with variables in its environment.
pub fn program(name: &str, dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    let output: Output = Command::new(name)
        .args(args)
        .current_dir(dir)
        // In the background of the terminal of whoever runs the tests, which is not to be asked.
        .process_group(0)
        .envs(env.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("{name} cannot be run: {error}"));
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a program, which must succeed, and returns what it printed.
pub fn output_of(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("the program can be run");
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Sends a signal to a process. The shell does it: a minimal machine has no `kill` program.
pub fn signal(name: &str, pid: impl std::fmt::Display) {
    output_of("sh", &["-c", &format!("kill -s {name} {pid}")]);
}

/// Runs a tool in `directory` and gives what it printed; none where the tool is not installed.
///
/// # Panics
/// The tool failed, or is missing under `CI`.
pub fn tool(directory: &Path, argv: &[&str]) -> Option<String> {
    let output = match Command::new(argv[0]).args(&argv[1..]).current_dir(directory).output() {
        Ok(output) => output,
        Err(error) => {
            crate::missing(format_args!("{} cannot be run: {error}", argv[0]));
            return None;
        }
    };
    assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
