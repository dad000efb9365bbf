//! The metadata of how a build was made: the tool, its plugins and options, the machine, the
//! repository and the CI. The fields are Packer's.

mod ci;
mod gather;
mod machine;
pub(super) mod vcs;

pub use gather::{CommandOptions, meant_for};

pub(super) use gather::Metadata;
