//! What a build is made from: the options of its blocks and the local files that they read. One
//! notion of it for all who ask whether something changed: plans, `-changed-only`, the step cache.

mod block;
mod build;
mod encode;
mod files;
mod options;
mod record;

pub use block::{BlockInputs, BlockKind, FileInput};
pub use build::{BuildInputs, InputReader};
pub use encode::{SecretValues, encode};
pub use files::{FileDigest, FileDigests};
pub use options::PluginOptions;
pub use record::{BlockRecord, Comparison, FileRecord, InputsRecord, ParentRecord};
