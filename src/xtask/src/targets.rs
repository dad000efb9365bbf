//! Other targets than this machine's, as far as they can be checked without their C compilers.

use std::process::Command;

/// The crates that have no C parts and ask nothing of the operating system.
const CRATES: [&str; 4] =
    ["ingot-hcl", "ingot-go-template", "ingot-json-template", "ingot-suggest"];

/// Targets of people who edit templates elsewhere than on Linux on x86-64.
const TARGETS: [&str; 3] =
    ["aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"];

/// Checks the crates for each target that rustup has a standard library for.
pub(crate) fn check() -> Result<(), String> {
    for target in TARGETS {
        let added = Command::new("rustup").args(["target", "add", target]).status();
        if !added.is_ok_and(|status| status.success()) {
            eprintln!("skipped: rustup has no standard library for {target} here");
            continue;
        }
        let crates = CRATES.iter().flat_map(|name| ["-p", name]);
        let mut command = Command::new("cargo");
        command.args(["check", "--locked", "--target", target]).args(crates);
        eprintln!("> {command:?}");
        let status = command.status().map_err(|error| format!("cargo cannot be run: {error}"))?;
        if !status.success() {
            return Err(format!("the crates cannot be compiled for {target}"));
        }
    }
    Ok(())
}
