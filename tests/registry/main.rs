//! The registry's server through the binary: real clients, real databases.

#[path = "../e2e/harness.rs"]
#[expect(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;

mod audit;
mod backup;
mod bad_input;
mod certificates;
mod cluster;
mod connections;
mod disk;
mod disk_full;
mod embedded;
mod faults;
mod first_run;
mod hostile;
mod large;
mod older;
mod peer;
mod postgres;
mod proxy;
mod revocation;
mod rules;
mod server;
mod soak;
mod terraform;
mod webhooks;
