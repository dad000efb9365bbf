//! Hosts Packer's plugin programs: their protocol, where they are installed, and their components
//! as plugins of Ingot.
//!
//! Knows nothing of templates: options come evaluated, and go by the specifications that plugins
//! send.

mod cache;
mod call_timeout;
mod callback;
mod component;
mod cty;
mod description;
pub mod discovery;
mod error;
mod gob;
mod host;
pub mod install;
pub mod lock_file;
mod message;
mod mux;
mod process;
mod program;
mod reclaim;
mod remote;
mod rpc;
mod spec;
mod started;

pub use cache::directory as cache_directory;
pub use call_timeout::call_timeout;
pub use component::{
    Component, HostedBuilder, HostedDataSource, HostedPostProcessor, HostedProvisioner,
};
pub use cty::CtyType;
pub use description::{ComponentKind, Description, template_name};
pub use discovery::Installation;
pub use error::{Failure, HostError, Result};
pub use host::{ComponentId, Host};
pub use program::Program;
pub use reclaim::{RUN_VARIABLE, ReclaimProcesses};
pub use spec::{ObjectSpec, Spec, SpecKind};
pub use started::{StartedPrograms, end_all};
