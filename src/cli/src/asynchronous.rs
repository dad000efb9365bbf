//! The runtime that the asynchronous work of a command runs on.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ingot_hcl::parse::STACK_SIZE;
use ingot_sdk::process::PROCESS_LIMIT_HINT;
use ingot_sdk::{Context as _, Error, Result};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};

/// How many threads a runtime needs besides its workers, for work that blocks.
const BLOCKING: usize = 3;
/// With fewer threads nothing runs: a worker, and one for work that blocks.
const LEAST: usize = 2;
/// How long threads that have ended may still count.
const LEAVING: Duration = Duration::from_millis(200);
/// How many workers a variable may ask for.
const MOST_WORKERS: usize = 1024;

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
    let wanted = match threads {
        Threads::Current => None,
        Threads::Workers(count) => Some(count),
        Threads::Processors => Some(processors()),
    };
    let built = match wanted {
        // Files and the names of hosts need one that may block.
        None => try_threads(LEAST, None)
            .and_then(|_| Ok(Builder::new_current_thread().enable_all().build()?)),
        Some(wanted) => with_workers(wanted, None),
    };
    built.context("cannot start")
}

/// The runtime that builds run on, on whose threads expressions are parsed.
///
/// # Errors
/// The system has no threads for it.
pub(super) fn for_builds() -> Result<Runtime> {
    with_workers(processors(), Some(STACK_SIZE))
        .context("cannot start the threads that builds run on")
}

/// One for each processor, or what tokio's variable says.
fn processors() -> usize {
    let variable = std::env::var("TOKIO_WORKER_THREADS").ok();
    let count = variable.and_then(|count| count.parse::<usize>().ok());
    count
        .filter(|count| (1..=MOST_WORKERS).contains(count))
        .unwrap_or_else(|| thread::available_parallelism().map_or(1, |count| count.get()))
}

/// A runtime with `wanted` workers: fewer where there is not room for all, as in a container with a limit
/// of processes, as what a build runs needs some, too.
///
/// # Errors
/// There is room for none.
fn with_workers(wanted: usize, stack: Option<usize>) -> Result<Runtime> {
    let needed = wanted.saturating_add(BLOCKING);
    let started = try_threads(needed, stack)?;
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(if started == needed { wanted } else { wanted.min(started / 2) });
    if let Some(size) = stack {
        builder.thread_stack_size(size);
    }
    Ok(builder.enable_all().build()?)
}

/// Starts `count` threads at once, and ends them again: where the system has none for its workers, tokio
/// panics, and may then wait for ever. Returns how many started. They have the size of `stack`, as memory
/// may have a limit, too.
///
/// # Errors
/// Fewer than [`LEAST`] started.
fn try_threads(count: usize, stack: Option<usize>) -> Result<usize> {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let mut threads = Vec::new();
    let mut failed = None;
    while failed.is_none() && threads.len() < count {
        let gate = Arc::clone(&gate);
        let mut builder = thread::Builder::new();
        if let Some(size) = stack {
            builder = builder.stack_size(size);
        }
        match builder.spawn(move || {
            drop(gate.lock());
            // Where the system shows this thread, on Linux.
            std::fs::read_link("/proc/thread-self").ok()
        }) {
            Ok(thread) => threads.push(thread),
            Err(error) => failed = Some(Error::from(error)),
        }
    }
    drop(closed);
    let started = threads.len();
    // They do nothing that can fail.
    let ended: Vec<_> =
        threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect();
    // One that has ended counts until the system has let go of it.
    let deadline = Instant::now() + LEAVING;
    let counts = |thread: &PathBuf| Path::new("/proc").join(thread).exists();
    while ended.iter().any(counts) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    match failed {
        Some(error) if started < LEAST => Err(match error.is_io(ErrorKind::WouldBlock) {
            true => error.hint(PROCESS_LIMIT_HINT),
            false => error,
        }),
        _ => Ok(started),
    }
}
