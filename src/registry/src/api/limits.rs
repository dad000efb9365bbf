//! How much an Ingot registry takes. What HCP takes is not told.

/// How many labels a bucket or a build may have.
pub const LABELS: usize = 100;
/// How long a label's key may be, in bytes.
pub const LABEL_KEY: usize = 128;
/// How long a label's value may be, in bytes.
pub const LABEL_VALUE: usize = 1024;
/// How large a version may be, in bytes: the labels, metadata and artifacts of all its builds.
pub const VERSION: i64 = 8 << 20;
