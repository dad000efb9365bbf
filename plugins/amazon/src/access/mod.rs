//! Access to AWS: the options, where credentials come from, and the clients made of both.

mod client;
mod credentials;
mod options;
mod role;

pub use aws_sdk_ec2::Client as Ec2;
pub use client::Access;
pub use options::{AccessOptions, AssumeRoleOptions, VaultOptions};
