//! The docker plugins against a real Docker Engine.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod build;
mod communicator;
mod harness;
mod post_processors;
mod scripts;
