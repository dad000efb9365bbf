//! End to end through the binary: what a user sees.

mod build;
mod data_sources;
mod harness;
mod json;
mod packer_block;
mod ssh;
#[expect(dead_code, reason = "shared with the tests of the crate, which use all of it")]
#[path = "../../plugins/ssh/tests/server/mod.rs"]
mod sshd;
mod validate;
