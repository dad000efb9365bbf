//! End to end through the binary: what a user sees.

mod build;
mod harness;
mod parity;
mod validate;
