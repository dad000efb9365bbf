//! The runtime that the asynchronous work of a command runs on.

use std::io::ErrorKind;
use std::sync::Arc;
use std::thread;

use ingot_hcl::parse::STACK_SIZE;
use ingot_sdk::process::PROCESS_LIMIT_HINT;
use ingot_sdk::{Context as _, Error, Result};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};

/// How many threads a runtime needs besides its workers, for work that blocks.
const BLOCKING: usize = 3;

/// How many threads the work of a command runs on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Threads {
    /// The one that waits for it.
    Current,
    /// This many, besides the one that waits for it.
    Workers(usize),
    /// One for each processor.
    Processors,
}

/// Runs `work` to its end. What it started and did not wait for ends with it. A signal ends the process
/// as if nobody listened, unless the work does: see [`ingot_engine::signals::or_cancelled`].
///
/// # Errors
/// Those of the work, or the system has no threads for it.
pub(super) fn to_end<T>(threads: Threads, work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = runtime(threads)?;
    let done = runtime.block_on(work);
    // Nobody waits for a thread that hangs.
    runtime.shutdown_background();
    done
}

/// A runtime for more than one piece of work, such as downloads by one client.
///
/// # Errors
/// The system has no threads for it.
pub(super) fn runtime(threads: Threads) -> Result<Runtime> {
    let workers = match threads {
        Threads::Current => {
            return Builder::new_current_thread().enable_all().build().context("cannot start");
        }
        Threads::Workers(count) => count,
        Threads::Processors => processors(),
    };
    try_threads(workers + BLOCKING).context("cannot start")?;
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().context("cannot start")
}

/// The runtime that builds run on, on whose threads expressions are parsed.
///
/// # Errors
/// The system has no threads for it.
pub(super) fn for_builds() -> Result<Runtime> {
    let cannot = "cannot start the threads that builds run on";
    let workers = processors();
    try_threads(workers + BLOCKING).context(cannot)?;
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).thread_stack_size(STACK_SIZE);
    builder.enable_all().build().context(cannot)
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, |count| count.get())
}

/// Starts `count` threads at once, and ends them again: where the system has none for its workers, tokio
/// panics, and may then wait for ever.
fn try_threads(count: usize) -> Result<()> {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let mut threads = Vec::with_capacity(count);
    let mut failed = None;
    while failed.is_none() && threads.len() < count {
        let gate = Arc::clone(&gate);
        match thread::Builder::new().spawn(move || drop(gate.lock())) {
            Ok(thread) => threads.push(thread),
            Err(error) => failed = Some(Error::from(error)),
        }
    }
    drop(closed);
    for thread in threads {
        // It does nothing that can fail.
        let _ = thread.join();
    }
    match failed {
        None => Ok(()),
        Some(error) if error.is_io(ErrorKind::WouldBlock) => Err(error.hint(PROCESS_LIMIT_HINT)),
        Some(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_were_tried_have_ended() {
        let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
        // Other tests may start some meanwhile, but not as many.
        let before = threads();
        try_threads(200).unwrap();
        assert!(threads() < before + 200);
    }
}
