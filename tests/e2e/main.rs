//! End to end through the binary: what a user sees.

mod behaviour;
mod build;
mod data_sources;
mod fmt;
mod harness;
mod json;
mod packer_block;
mod parity;
mod validate;
