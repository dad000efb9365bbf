//! End to end through the binary: what a user sees.

mod build;
mod data_sources;
mod harness;
mod json;
mod packer_block;
mod ssh;
#[path = "../../plugins/ssh/tests/server/mod.rs"]
mod sshd;
mod validate;
