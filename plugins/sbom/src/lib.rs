//! Software bills of materials (SBOMs): what packages are in an image.
//!
//! Knows file systems and packages; knows nothing of builders, of registries or of signatures.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`provisioner`] | `provisioner "hcp-sbom"` |
//! | [`collector`] | the script that prints a machine's package databases, and what it printed |
//! | [`packages`] | the packages in those databases, one file per package manager |
//! | [`cyclonedx`], [`spdx`] | the documents that list them |
//! | [`mod@read`], [`mod@write`] | reading what the collector printed, writing a document |
//! | [`document`] | which format a document is in, and whether it is one at all |
//! | [`scan`] | the packages below a directory of this machine |
//!
//! Nothing is installed on the machine whose packages are read: its own `sh`, `find` and `awk` or
//! `sed` do.

pub mod collector;
mod creation;
mod cyclonedx;
pub mod document;
mod json;
pub mod packages;
pub mod provisioner;
mod read;
pub mod scan;
pub mod scanner_args;
mod spdx;
mod write;

use ingot_sdk::PluginSet;

pub use document::format_of;
pub use packages::Inventory;
pub use read::read;
pub use write::{LARGEST_DOCUMENT, write};

/// Adds this crate's plugins.
pub fn register(set: &mut PluginSet) {
    set.add_provisioner(provisioner::HcpSbomProvisioner);
}
