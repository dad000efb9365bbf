//! The `ingot` program.

use std::process::ExitCode;

/// What walks a template recurses: a stack of a known size, whatever the shell's limit is. Only
/// what is used of it takes memory.
const STACK_SIZE: usize = 128 << 20;

fn main() -> ExitCode {
    let thread = std::thread::Builder::new().name("main".into()).stack_size(STACK_SIZE);
    match thread.spawn(ingot::cli::main).map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        // The panic has been told.
        Ok(Err(_)) => ExitCode::from(101),
        Err(_) => ingot::cli::main(),
    }
}
