//! The builders `amazon-ebs`, an AMI from an instance; `amazon-ebssurrogate`, an AMI from volumes of
//! an instance; and `amazon-ebsvolume`, volumes and snapshots of them.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`options`], [`choices`], [`settings`], [`checks`] | the options, as written and as checked |
//! | [`steps`] | what a build does, in order |
//! | [`creation`], [`removal`], [`reclaim`] | how nothing that is made is lost sight of, and how it goes |
//! | [`resources`] | the kinds of things that a build makes, as the journal records them |
//! | [`discovery`] | finding what is left by its tag |
//! | [`mod@cached_images`] | the AMIs of the step cache, by their records |
//! | [`state_images`] | these AMIs as EC2 describes them |
//! | [`state_removal`] | removing the AMIs of the step cache, and nothing else |
//! | [`region_access`] | where things are, for the journal |
//! | [`wait`], [`wait_times`] | waiting for AWS |
//! | [`session_manager`] | reaching the instance through Systems Manager |
//! | [`tags`] | tags, and what templates know about the source AMI |

pub(crate) mod artifact;
mod builder;
mod cached_images;
pub(crate) mod checks;
mod choices;
pub(crate) mod creation;
mod devices;
mod discovery;
pub(crate) mod options;
mod reclaim;
pub(crate) mod region_access;
pub(crate) mod removal;
pub(crate) mod resources;
mod session_manager;
mod settings;
mod state_images;
mod state_removal;
pub(crate) mod steps;
pub(crate) mod tags;
mod test_machine;
mod volume_artifact;
pub(crate) mod wait;
pub(crate) mod wait_times;

pub use builder::{EbsBuilder, EbsSurrogateBuilder, EbsVolumeBuilder};
pub(crate) use cached_images::CachedImages;
pub use reclaim::EbsReclaim;
pub use tags::RUN_TAG;
pub(crate) use test_machine::AmiTest;
