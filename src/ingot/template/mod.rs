//! What a template says: its blocks as typed structures.

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
