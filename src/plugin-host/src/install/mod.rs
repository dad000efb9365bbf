//! Installs plugins: from releases in the network, a mirror or a file, to where Packer keeps them
//! too.
//!
//! An installation is whole or not there: what is downloaded and unpacked stands under other
//! names until it was checked, and takes its own by a rename. Whoever installs a plugin holds a
//! lock, so that two at once do the work once; what a killed installation left is taken up by the
//! next.

mod address;
mod archive;
mod candidate;
mod checks;
mod installer;
mod origin;
pub(crate) mod proof;
mod search;
mod signature;
mod transfer;
mod unfinished;

pub use address::PluginAddress;
pub use installer::{Installed, Installer, Request, remove};
pub use origin::Origins;
pub use search::OnlyOlder;
pub use unfinished::remove_unfinished;
