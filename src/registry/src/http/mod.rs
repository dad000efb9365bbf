//! A registry that is reached by HTTP: HCP Packer, or an Ingot server.

mod client;
mod enforced_blocks;
mod location;
mod operations;
mod token;

pub use client::{HttpRegistry, Mask};

pub(super) use client::host;
pub(super) use token::{AUDIENCE, code_exchanged};

use client::{Answered, Call, TIMEOUT, json, status_error, unreachable_error};
