//! The qemu builder end to end through the binary, with real machines.

#[path = "../e2e/harness.rs"]
#[expect(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;

mod bench;
mod failures;
mod guest;
mod interrupted;
mod media;
