//! The wire format of HCP Packer's API of 2023-01-01: the JSON of its requests and answers, with
//! its names, as its Go client (hcp-sdk-go 0.174.0) has them.
//!
//! The format is protocol buffers' JSON: what is absent, `null` or the type's zero value (an empty
//! string, list or map, the `UNSET` value of an enumeration, the year 1) is the same, unknown
//! fields are skipped, and 64-bit integers are strings.

mod ancestry;
mod artifact;
mod bucket;
mod build;
mod channel;
mod enforced_block;
mod error;
mod json_text;
pub mod limits;
mod protojson;
mod registry;
mod run_task;
mod sbom;
mod shared;
mod timestamp;
mod version;

pub use ancestry::*;
pub use artifact::*;
pub use bucket::*;
pub use build::*;
pub use channel::*;
pub use enforced_block::*;
pub use error::*;
pub use json_text::JsonText;
pub use protojson::{Labels, message, null_is_default};
pub use registry::*;
pub use run_task::*;
pub use sbom::*;
pub use shared::*;
pub use timestamp::Timestamp;
pub use version::*;

pub(crate) use protojson::enumeration;
