//! The `ssh` communicator, for all builders whose machine is reached by SSH.
//!
//! Knows nothing of WinRM or of any builder.
//!
//! A builder flattens [`SshConfig`] into its options, checks it with [`SshConfig::prepare`], and
//! calls [`SshSettings::connect`] once its machine is under way.
//!
//! How it works inside: libssh2's sessions cannot be used from several places at once, and its
//! calls block. So every connection is a thread of its own (`worker`) that nothing else touches.
//! It joins SSH channels to local sockets (`channel_pump`): a command's output, a tunnel's peer and the
//! way through a bastion are all sockets to the rest of the program, which reads and writes them
//! like any other. Dropping the near end of a socket ends what runs at its far end.

mod algorithms;
mod auth;
mod authorized_keys;
mod channel_pump;
mod commands;
mod communicator;
mod config;
mod connect;
mod connector;
mod copy;
mod dial;
mod ending;
mod key;
mod key_pair;
mod link;
mod machine;
mod path;
mod scp;
mod settings;
mod sftp;
mod sftp_copy;
mod tar;
mod transfer;
mod tunnel;
mod worker;

pub use authorized_keys::remove_authorized_key;
pub use config::SshConfig;
pub use connector::Target;
pub use key_pair::{KeyPair, KeyPairType};
pub use settings::SshSettings;
