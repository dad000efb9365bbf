//! Publishing what builds make: one version of a bucket for a run, or for several that share a
//! fingerprint.
//!
//! - [`plan()`] says where a template's builds are published, and a [`Publication`] does it while they run,
//!   as the engine's [`Publisher`](ingot_engine::Publisher);
//! - [`queue`] keeps what cannot be published yet, [`reason_to_leave`] says which channels
//!   are not assigned it after the run;
//! - [`changes`] compares builds with what was published of them last;
//! - [`data_sources`] are those that read a registry.
//!
//! Knows the engine, and a registry by its trait; knows no builder, no store or server of a registry,
//! no terminal and no command line.

mod builds;
pub mod changes;
mod channels;
pub mod data_sources;
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

pub use channels::{ListedChannels, reason_to_leave};
pub use fingerprint::beside_commit;
pub use metadata::{CommandOptions, meant_for};
pub use plan::{Plan, check, check_artifacts, plan};
pub use publication::Publication;
