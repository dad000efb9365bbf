//! End to end through the binary: what a user sees.

mod build;
mod fmt;
mod harness;
mod validate;
