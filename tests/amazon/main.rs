//! The builders and `amazon-import` end to end through the binary, against moto's server and with a real
//! sshd as the instance; and the harness itself.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod ami_management;
mod artifact_tests;
mod bench;
mod cleanup;
mod cloud;
mod fast_launch;
mod harness;
#[cfg(feature = "plugin-host")]
mod hosted;
mod http;
mod import;
mod import_ends;
mod import_others;
mod matrix;
mod options;
mod proxy;
mod resume;
mod session_manager;
mod shared;
mod step_cache;
mod volumes;
