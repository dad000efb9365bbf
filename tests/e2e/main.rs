//! End to end through the binary: what a user sees.

#[cfg(feature = "amazon")]
mod amazon;
mod behaviour;
mod build;
mod cleanup;
mod command_line;
mod data_sources;
mod fmt;
mod harness;
mod json;
mod messages;
mod packer_block;
mod parity;
mod running;
mod secrets;
mod ssh;
#[expect(dead_code, reason = "the tests of the ssh communicator itself use more of it")]
#[path = "../../plugins/ssh/tests/server/mod.rs"]
mod sshd;
mod validate;
mod values;
mod winrm;
