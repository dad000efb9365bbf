//! The post-processors, each run on artifacts as a build runs it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod artifice;
mod build;
mod checksum;
mod compress;
mod manifest;
mod shell_local;
