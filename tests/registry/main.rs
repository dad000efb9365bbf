//! The registry's server through the binary: real clients, real databases.

#[path = "../e2e/harness.rs"]
#[expect(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;

mod bad_input;
mod cluster;
mod disk;
mod disk_full;
mod embedded;
mod first_run;
mod older;
mod peer;
mod postgres;
mod revocation;
mod rules;
mod server;
mod soak;
mod terraform;
mod webhooks;
