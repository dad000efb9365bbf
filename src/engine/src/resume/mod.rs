//! Builds that failed and are kept for `-resume`: what `-on-error=keep` writes down, and how a later
//! run goes on with it.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`record`] | what is written down of a build, and where |
//! | [`inputs`] | what a build's steps are made of, so that later changes can be found |
//! | [`changes`] | those changes, and which of them make going on wrong |
//! | [`keeper`] | writes the record while and after the build runs |
//! | [`kept_journal`] | the build's journal, without what that record stands for |
//! | [`advice`] | what a person does next with it |
//! | [`artifact`] | what a builder made, as a later process knows it |
//! | [`flags`] | what the command line says about it |
//! | [`planner`] | what one build goes on with, and from where |
//! | [`resumption`] | what a run goes on with, and what it keeps in turn |

mod advice;
mod artifact;
mod changes;
mod flags;
mod inputs;
mod keeper;
mod kept_journal;
mod planner;
pub mod record;
mod resumption;

pub use artifact::RecordedArtifact;
pub use flags::ResumeFlags;
pub(super) use keeper::{EndMessages, Keeper};
pub use record::{KeptBuild, KeptRecord};
pub use resumption::{KeepOptions, Plans, nothing_kept, plan};
