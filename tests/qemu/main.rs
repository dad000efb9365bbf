//! The qemu builder end to end through the binary, with real machines.

mod bench;
mod failures;
mod guest;
#[cfg(feature = "plugin-host")]
mod hosted;
mod interrupted;
mod media;
