//! Against real SSH servers.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod commands;
mod failures;
mod files;
mod harness;
mod login;
mod options;
mod provisioning;
mod routes;
