//! The image registry: what was built, as buckets of versions of builds of artifacts, and the
//! channels that say which version is to be used.
//!
//! [`api`] is the wire format, HCP Packer's. [`client::Registry`] is what the rest of Ingot sees
//! of a registry, wherever it is; [`connect`] finds the one that the environment names.
//! [`publish`] tells it what builds make, and [`data_sources`] read it in templates. [`service`]
//! has the rules, over the database of [`store`]; [`local`] uses it in this process, [`server`]
//! puts HTTP around it. [`guard`] checks Terraform's plans against it.

pub mod api;
pub mod client;
mod connect;
pub mod data_sources;
pub mod guard;
pub mod http;
pub mod local;
pub mod publish;
pub mod server;
pub mod service;
pub mod settings;
pub mod store;

pub use connect::{Connected, connect};
