//! The same templates built with Packer and with Ingot give the same files, images and exit code.
//!
//! Packer is what `INGOT_PEER` names, else `packer` in `PATH`. CI has Debian's, 1.6.6, which has
//! the docker builder built in; newer ones need their docker plugin installed. What a version
//! cannot do yet is skipped for it, saying why.

#[cfg(feature = "amazon")]
mod amazon;
mod builders;
mod compare;
mod errors;
mod output;
mod peer;
mod steps;
