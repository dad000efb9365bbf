//! The image registry: what was built, as buckets of versions of builds of artifacts, and the
//! channels that say which version is to be used.
//!
//! Layers, each of which knows only those before it:
//!
//! - [`api`] is the wire format, HCP Packer's, with its errors;
//! - [`client::Registry`] is the trait that the rest of Ingot sees of a registry, wherever it is;
//! - [`http`] is that trait over HTTP, for HCP Packer and for Ingot's own server;
//! - [`store`] is the database, SQLite or PostgreSQL, and [`service`] the rules over it;
//! - [`local`] is the trait over the service, for a registry in a file of this machine;
//! - [`settings`] reads which registry the environment names, and [`connect()`] opens it;
//! - [`transfer`] exports a registry to a file and imports it into another, by the trait alone.
//!
//! The feature `store`, which is on by default, holds [`store`], [`service`] and [`local`]: without it
//! this is a client of registries elsewhere, and no database is compiled.
//!
//! Knows nothing of templates, builds, HTTP servers or the command line: whoever embeds it brings
//! those. Its tests need no other crate than `ingot-base`.

// What `message!` makes names this crate, wherever it is used.
extern crate self as ingot_registry;

pub mod api;
pub mod client;
mod completion;
mod connect;
mod data_directory;
mod environment;
mod geography;
pub mod http;
mod id;
mod lists;
#[cfg(feature = "store")]
pub mod local;
pub mod login;
mod network_file;
mod pages;
mod poll;
mod revocation_delay;
mod revocation_impact;
mod rollback;
// A registry that is only asked packs SBOMs and checks none.
#[cfg_attr(not(feature = "store"), allow(dead_code))]
mod sbom;
#[cfg(feature = "store")]
pub mod service;
pub mod settings;
#[cfg(feature = "store")]
pub mod store;
pub mod transfer;
mod version_lookup;
pub mod workload;

pub use completion::{Completion, completion};
#[cfg(feature = "store")]
pub use connect::local_file;
pub use connect::{Connected, connect, connect_to_existing, only_reading, only_reading_here};
pub use data_directory::{data_directory, default_path};
pub use id::new_id;
pub use lists::{all_buckets, all_relations, all_versions};
pub use network_file::network_file_warning;
pub use pages::{ListPage, all_pages, find_in_pages, first_pages};
pub use revocation_delay::revocation_delay;
pub use revocation_impact::{MovedChannel, RevocationImpact, version_children};
pub use rollback::{Assigned, rollback_targets};
pub use sbom::{pack as pack_sbom, unpack as unpack_sbom};
pub use version_lookup::find_version;
