//! `ingot registry`: one file per noun.

#[cfg(feature = "registry-server")]
mod admin;
mod ancestry;
mod artifact;
#[cfg(feature = "registry-server")]
mod backup;
mod bucket;
mod channel;
mod check;
mod command;
mod enforced_block;
mod export;
mod form;
mod import;
mod labels;
mod login;
pub(super) mod output;
mod push;
mod revoke;
#[cfg(feature = "registry-server")]
mod run_task;
mod sbom;
#[cfg(feature = "registry-server")]
mod serve;
#[cfg(feature = "registry-server")]
mod server;
mod session;
#[cfg(feature = "registry-server")]
mod sign_in_link;
mod version;

pub(super) use command::{RegistryArgs, run};
