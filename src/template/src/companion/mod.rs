//! The companion file of a template, `*.ingot.hcl`: what Ingot does with a template that Packer has
//! no blocks for. Packer does not read it, so the template stays one of Packer's.

mod blocks;
mod names;
mod read;
mod reader;
mod test_block;

pub use blocks::{CacheBlock, Companion, FamilyBlock, StepBlock};
pub use read::read;
pub use test_block::{CheckSource, RefusedCheck, TestBlock, TestCheck, goss_checks};
