//! Exporting a registry's buckets to a file, and importing such a file into another registry, whichever
//! the two are. Both use the API that every client has, so that HCP Packer can be left or entered.

mod enforced;
mod error;
mod export;
mod file;
mod import;
mod key;
mod order;
mod revocations;
mod sboms;

pub use enforced::SkippedBlocks;
pub use error::{ExportError, ImportError, ReadError, ReadProblem};
pub use export::{ExportOptions, Exported, export};
pub use file::Export;
pub use import::{DifferingVersion, ImportSummary, ImportedVersion, import};
