//! Waiting for what has to happen, however loaded the machine is.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long a test waits for what has to happen. It tells "late" from "never", and nothing else: where
/// all goes well nobody waits for it, and a machine that does other things besides must not reach it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How often [`eventually`] looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// What a look at something shows: what was waited for, or why it is not there yet.
pub trait Awaited {
    /// What was waited for.
    type Value;
    /// What was waited for, or what was seen in its place.
    fn awaited(self) -> Result<Self::Value, String>;
}

impl Awaited for bool {
    type Value = ();

    fn awaited(self) -> Result<(), String> {
        self.then_some(()).awaited()
    }
}

impl<T> Awaited for Option<T> {
    type Value = T;

    fn awaited(self) -> Result<T, String> {
        self.ok_or_else(String::new)
    }
}

impl<T, E: Display> Awaited for Result<T, E> {
    type Value = T;

    fn awaited(self) -> Result<T, String> {
        self.map_err(|seen| seen.to_string())
    }
}

/// Looks until what is waited for is there, and gives it.
///
/// # Panics
/// It is not there within [`PATIENCE`]. The message has `what` and what was seen last.
#[track_caller]
pub fn eventually<A: Awaited>(what: impl Display, mut look: impl FnMut() -> A) -> A::Value {
    let start = Instant::now();
    loop {
        match look().awaited() {
            Ok(value) => return value,
            Err(seen) => assert!(start.elapsed() < PATIENCE, "never: {what}: {seen}"),
        }
        std::thread::sleep(INTERVAL);
    }
}

/// As [`eventually`], beside other tasks.
pub async fn eventually_async<A: Awaited>(
    what: impl Display,
    mut look: impl AsyncFnMut() -> A,
) -> A::Value {
    let start = Instant::now();
    loop {
        match look().await.awaited() {
            Ok(value) => return value,
            Err(seen) => assert!(start.elapsed() < PATIENCE, "never: {what}: {seen}"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
