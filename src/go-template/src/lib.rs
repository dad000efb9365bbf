//! What Go gives the options of Packer's templates: durations and layouts of time.
//!
//! Knows nothing of plugins, templates or values; its callers do.

pub mod duration;
pub mod time;

pub use duration::GoDuration;
