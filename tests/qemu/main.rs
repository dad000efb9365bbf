//! The qemu builder end to end through the binary, with real machines.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod artifact_tests;
mod bench;
mod failures;
mod guest;
#[cfg(feature = "plugin-host")]
mod hosted;
mod interrupted;
mod media;
mod network;
mod resume;
mod step_cache;
mod vagrant;
