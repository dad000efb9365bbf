//! `iso_url` and its kin: a medium to install from, or a disk to start from, brought to this
//! machine and checked.
//!
//! Downloads go to Packer's cache under the names that Packer gives them: the SHA-1 of the
//! checksum, or of the URL where there is no checksum. Files on this machine are used where
//! they are.

mod checksum;
mod download;
mod options;
mod source;
mod stall;
mod unpack;

pub use checksum::{Checksum, ChecksumOption};
pub use options::{IsoOptions, Retrieved};
pub use source::Source;

use options::sha1;
