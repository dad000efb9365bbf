//! Other targets than this machine's, as far as they can be checked without their C compilers.

use std::process::Command;

/// The crates that have no C parts and ask nothing of the operating system.
const CRATES: [&str; 4] =
    ["ingot-hcl", "ingot-go-template", "ingot-json-template", "ingot-suggest"];

/// Targets of people who edit templates elsewhere than on Linux on x86-64. Of Linux on ARM, macOS has the
/// processor and this machine the system.
const TARGETS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-pc-windows-msvc"];

/// Checks the crates for each target that rustup has a standard library for, all at once, so that what
/// runs here meanwhile is compiled once.
pub(crate) fn check() -> Result<(), String> {
    let is_there = |target: &&str| {
        let added = Command::new("rustup").args(["target", "add", target]).status();
        let is_there = added.is_ok_and(|status| status.success());
        if !is_there {
            eprintln!("skipped: rustup has no standard library for {target} here");
        }
        is_there
    };
    let targets: Vec<&str> = TARGETS.into_iter().filter(is_there).collect();
    if targets.is_empty() {
        return Ok(());
    }
    let mut command = Command::new("cargo");
    command.args(["check", "--locked"]);
    command.args(targets.iter().flat_map(|target| ["--target", target]));
    command.args(CRATES.iter().flat_map(|name| ["-p", name]));
    eprintln!("> {command:?}");
    let status = command.status().map_err(|error| format!("cargo cannot be run: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("the crates cannot be compiled for all of {}", targets.join(", "))),
    }
}
