//! The `ingot` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingot::cli::main()
}
