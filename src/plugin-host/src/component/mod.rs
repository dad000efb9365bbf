//! The components of plugin programs, in the form that the engine knows.

mod builder;
mod config_errors;
mod data_source;
mod facts;
mod hosted;
mod kinds;
mod post_processor;
mod provisioner;

pub use builder::HostedBuilder;
pub use data_source::HostedDataSource;
pub use hosted::Component;
pub(crate) use kinds::{Configure, Hosted};
pub use post_processor::HostedPostProcessor;
pub use provisioner::HostedProvisioner;

use config_errors::config_warnings;
use facts::Facts;
use hosted::Configured;
