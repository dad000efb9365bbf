//! The builders against a real moto server, with a real sshd as the instance.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod account;
mod build;
mod harness;
mod images;
mod interrupted;
mod options;
mod spot;
mod surrogate;
mod volumes;
