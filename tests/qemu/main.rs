//! The qemu builder end to end through the binary, with real machines.

mod bench;
mod failures;
mod guest;
mod interrupted;
mod media;
