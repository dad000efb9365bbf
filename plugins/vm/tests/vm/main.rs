//! The crate against real parts: nginx, mtools, isoinfo, other processes.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod boot_command;
mod harness;
mod http_server;
mod iso;
mod media;
mod options;
mod ports;
mod shutdown;
