//! Publishing what builds make: one version of a bucket for a run, or for several that share a
//! fingerprint.

mod builds;
pub mod changes;
mod channels;
mod enforced;
mod environment;
mod fingerprint;
mod labels;
mod metadata;
mod plan;
mod publication;
mod published;
pub mod queue;
pub mod sboms;
mod version;

pub use channels::assign_late;
pub use metadata::{CommandOptions, meant_for};
pub use plan::{Plan, check, check_artifacts, plan};
pub use publication::Publication;
