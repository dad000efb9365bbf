//! End to end through the binary: what a user sees.

mod behaviour;
mod build;
mod harness;
mod parity;
mod validate;
