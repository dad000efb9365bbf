//! The runtime that the asynchronous work of a command runs on.

use ingot_sdk::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};

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
    let mut builder = match threads {
        Threads::Current => Builder::new_current_thread(),
        Threads::Workers(_) | Threads::Processors => Builder::new_multi_thread(),
    };
    if let Threads::Workers(count) = threads {
        builder.worker_threads(count);
    }
    builder.enable_all().build().context("cannot start")
}
