//! The plugin `trial`, hosted by this crate alone.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod components;
mod failures;
mod harness;
