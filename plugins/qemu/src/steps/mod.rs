//! The steps of a build, in Packer's order but for this: the key pair is made and the HTTP server
//! started first, so that discs made for the machine can hold the one's public key and the
//! other's address.

mod disks;
mod key;
mod media;
mod output;
mod resume;
mod run;
mod sequence;
mod state;
mod states;
mod tpm;

pub(crate) use output::EFI_VARIABLES;
pub(crate) use sequence::steps;
pub(crate) use state::State;
