//! How a builder reaches its machine: by ssh, by winrm or not at all.
//!
//! Knows the communicators; knows nothing of any builder.
//!
//! A builder flattens [`CommunicatorConfig`] into its options, checks it with
//! [`CommunicatorConfig::prepare`], and calls [`Communication::connect`] once its machine is
//! under way. What `build.Host` and the like are comes from [`Communication::generated_data`].

mod config;
mod connect;

pub use config::{Communication, CommunicatorConfig, CommunicatorKind};
pub use connect::Target;
pub use ingot_ssh::{KeyPair, KeyPairType, SshSettings, remove_authorized_key};
pub use ingot_winrm::WinrmSettings;
