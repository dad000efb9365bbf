//! End to end through the binary: what a user sees.

mod build;
mod harness;
mod ssh;
#[path = "../../plugins/ssh/tests/server/mod.rs"]
mod sshd;
mod validate;
