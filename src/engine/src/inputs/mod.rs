//! What a build is made from: the options of its blocks and the local files that they read.
//!
//! Three ask whether something of it changed: plans with `-changed-only`, `-resume`
//! ([`super::resume`]) and the step cache ([`super::step_cache`]). What is the same for them is here.
//!
//! | module | what it is | for |
//! | --- | --- | --- |
//! | [`mod@options`] | which options name files that a plugin reads | all |
//! | [`commands`] | what else of a step's options may name files: in commands and arguments | plans, `-resume` |
//! | [`evaluate`] | options as they are in every run, with the files that they name | plans, `-resume` |
//! | [`mod@encode`] | options as bytes, with or without secrets | plans, `-resume` |
//! | [`files`] | digests of files, and texts without secrets | plans, in part `-resume` |
//! | [`block`], [`build`], [`record`] | what plans show, and what is published to compare with | plans |
//!
//! Plans also compare what the tests of a build check and what its registry block publishes, as a build is
//! what runs and publishes that.
//!
//! The rest differs because the questions do:
//!
//! - The step cache asks whether a step will do on the machine what it did. So it takes the values of this
//!   run instead of those that are the same in every run, and takes a step with an option that is not known,
//!   or differs each time, for changed. Of files it also counts owners, modes and links, which provisioners
//!   copy.
//! - `-resume` names each option and file that changed, so it has a digest for each, also of those in
//!   directories. Files that are large or many count by length and time, as it looks at them whenever a
//!   build with `-on-error=keep` starts. Of what may name a file it takes all that is there: what it
//!   misses is not on the machine, and nobody is told; what is no change can be passed with `-start-at`.
//!   Only what was not there before is no change: a step may have written it.
//! - Plans are compared with what was published on another machine. So paths do not depend on the machine,
//!   and programs of its system do not count. Of what may name a file they leave out what may hold a secret,
//!   and directories by their bare names; what was not recorded of it is no change.
//!
//! How secrets enter digests follows from who can read them. Records of plans are published: secrets are left
//! out. Records of `-resume` are for the user only: secrets count, with a salt that is in the record. Keys of
//! the step cache can be seen where states are shared: secrets count, with the cache's secret.

mod block;
mod build;
mod commands;
mod encode;
mod evaluate;
mod files;
mod options;
mod record;

pub use block::{BlockInputs, BlockKind, FileInput};
pub use build::{BuildInputs, InputReader, RegistryInputs, TestInputs};
pub(super) use commands::{PossibleFile, possible_files};
pub use encode::{SecretValues, encode};
pub(super) use evaluate::{Block, NodeEvaluator};
pub use files::{FileDigest, FileDigests};
pub use options::PluginOptions;
pub use record::{BlockRecord, Comparison, FileRecord, InputsRecord, ParentRecord};
