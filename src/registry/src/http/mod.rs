//! A registry that is reached by HTTP: HCP Packer, or an Ingot server.

mod client;
mod enforced_blocks;
mod location;
mod operations;
mod pending;
mod request;
mod response;
mod token;

pub use client::HttpRegistry;
pub use request::Mask;

pub(super) use response::host;
pub(super) use token::{AUDIENCE, code_exchanged};

use client::{Call, CallOutcome};
use request::json;
