//! How much an Ingot registry takes. What HCP takes is not told.

/// How many labels a bucket or a build may have.
pub const LABELS: usize = 100;
/// How long a label's key may be, in bytes.
pub const LABEL_KEY: usize = 128;
/// How long a label's value may be, in bytes.
pub const LABEL_VALUE: usize = 1024;
/// How large a version may be, in bytes: the labels, metadata and artifacts of all its builds.
pub const VERSION: i64 = 8 << 20;
/// How many enforced blocks a project may have.
pub const ENFORCED_BLOCKS: usize = 100;
/// How many versions an enforced block may have.
pub const ENFORCED_VERSIONS: usize = 50;
/// How long the content of a version of an enforced block may be, in bytes.
pub const ENFORCED_CONTENT: usize = 64 << 10;
/// How many buckets a version of an enforced block may be linked to.
pub const ENFORCED_BUCKETS: usize = 1000;
/// How many enforced blocks a bucket may be linked to.
pub const ENFORCED_OF_BUCKET: usize = 20;
/// How large an SBOM may be, in bytes.
pub const SBOM: u64 = 32 << 20;
/// How large an SBOM may be when it is compressed, in bytes.
pub const COMPRESSED_SBOM: usize = 8 << 20;
/// How many SBOMs a build may have.
pub const SBOMS: usize = 16;
/// How large the compressed SBOMs of all builds of a version may be together, in bytes.
pub const SBOMS_OF_VERSION: i64 = 64 << 20;
