//! The image registry: what was built, as buckets of versions of builds of artifacts, and the
//! channels that say which version is to be used.
//!
//! [`api`] is the wire format, HCP Packer's. [`client::Registry`] is what the rest of Ingot sees
//! of a registry, wherever it is. [`service`] has the rules, over the database of [`store`];
//! [`local`] uses it in this process, [`server`] puts HTTP around it.

pub mod api;
pub mod client;
pub mod local;
pub mod server;
pub mod service;
pub mod store;
