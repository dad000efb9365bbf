//! `ingot registry export` and `import`: a registry's buckets as a file, and into another registry,
//! whichever the two are. Both use the API that every client has, so that HCP Packer can be left or
//! entered.

mod enforced;
mod export;
mod file;
mod import;
mod order;
mod sboms;

pub(super) use export::{ExportArgs, export};
pub(super) use import::{ImportArgs, import};
