//! What a template says: its blocks as typed structures.
//!
//! - [`load`] finds and parses the files of a template, [`Template`] has their blocks, and
//!   [`legacy`] makes the same of legacy JSON templates;
//! - [`variables`], [`locals_and_data`] and [`builds`] evaluate them, in this order, [`companion`]
//!   the blocks of companion files, and [`enforced`] those that a registry adds;
//! - [`options`] makes options of plugins of the bodies of blocks, and checks them against a schema.
//!
//! Knows which blocks there are and the schema of a plugin; knows no plugin, and nothing of the
//! engine, of running a build, of registries or of the command line.

mod block_form;
pub mod blocks;
pub mod builds;
pub mod companion;
pub mod dynamic;
pub mod enforced;
pub mod legacy;
pub mod load;
pub mod locals_and_data;
pub mod option_place;
pub mod option_types;
pub mod options;
#[cfg(test)]
mod options_tests;
pub mod packer_block;
pub mod registry_block;
pub mod siblings;
pub mod steps;
pub mod uses;
mod validation;
pub mod variables;
pub mod version;

pub use blocks::Template;
pub use builds::Build;
pub use companion::Companion;
pub use enforced::EnforcedBlock;
pub use registry_block::RegistryBlock;
