//! Brings the options of old versions up to date: the fixers of `packer fix`.
//!
//! What a fixer looks for and what it makes of it are Packer's. Keys keep their order, and nothing is
//! added to a template that has nothing to fix.

mod builders;
mod fixer;
mod object;
mod steps;
#[cfg(test)]
mod tests;
mod types;

pub use fixer::{FIXERS, Fixer, fix, replaces};
pub use types::Types;
