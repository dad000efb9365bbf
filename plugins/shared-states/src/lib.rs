//! States of the step cache in a directory that machines share: one file for each, in a directory for
//! each builder.
//!
//! Knows files; knows nothing of what a state is, of builders or of the engine.
//!
//! A file has a header, then what the builder keeps of the state. It is written under another name and
//! renamed when it is whole, and copied to a file of this machine and compared with its checksum before
//! anything in it is used. Others may write to the directory at the same time, and other users may have
//! put things there: see [`trust`].
//!
//! | module | what it is |
//! | --- | --- |
//! | [`directory`] | looking for states, writing, listing and removing them |
//! | [`mod@file`] | the form of a file |
//! | [`trust`] | what in the directory is read at all |
//! | [`spool`] | files without a name, for what is copied from there |

mod directory;
mod file;
pub mod spool;
mod stored;
mod trust;

pub use directory::SharedStates;
pub use stored::merged;
