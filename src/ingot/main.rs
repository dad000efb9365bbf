//! The `ingot` program.

use std::process::ExitCode;

/// The memory that a server's large responses took is given back when they are done, also what
/// SQLite took. The system's own allocator keeps most of it for its threads.
#[cfg(all(feature = "registry-server", target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What walks a template recurses: a stack of a known size, whatever the shell's limit is. Only
/// what is used of it takes memory.
const STACK_SIZE: usize = 128 << 20;

fn main() -> ExitCode {
    let run = || ingot_cli::run(&ingot::builtin::BUILT_IN);
    let thread = std::thread::Builder::new().name("main".into()).stack_size(STACK_SIZE);
    match thread.spawn(run).map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        // The panic was already reported.
        Ok(Err(_)) => ExitCode::from(101),
        Err(_) => run(),
    }
}
