//! The registry's server through the binary: real clients, real databases.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod audit;
mod backup;
mod bad_input;
mod certificates;
mod cluster;
mod connections;
mod disk_full;
mod embedded;
mod enforced_blocks;
mod faults;
mod first_run;
mod hostile;
mod large;
mod migrations;
mod older;
mod peer;
mod plans;
mod proxy;
mod revocation;
mod rules;
mod sboms;
mod silence;
mod slow;
mod soak;
mod terraform;
mod webhooks;
