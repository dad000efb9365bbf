//! What Go gives the options of Packer's templates: durations and layouts of time.
//!
//! Knows nothing of plugins, templates or values; its callers do.

pub mod duration;
pub mod time;

pub use duration::GoDuration;

/// Stands in for a string that only the build will know. `validate` puts it where a template
/// uses `build.*` or a data source, so that a plugin can check the rest of its options.
pub const UNKNOWN: &str = "\u{1}unknown until the build runs\u{1}";

/// Whether `text` is, or contains, a value that is not known yet. A plugin must not judge such
/// a string: no "file not found", no "bad format".
pub fn is_unknown(text: &str) -> bool {
    text.contains(UNKNOWN)
}
