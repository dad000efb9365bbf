//! The step cache of containers: the state after a provisioner is an image.
//!
//! The image of a state is named [`REPOSITORY`] with its key as the tag, and its comment says the same,
//! so that no image is taken for another's. A state is kept only where the image holds all that later
//! provisioners could see: see [`quiet`] for what it cannot hold, and [`fingerprint`] for what a
//! provisioner may have left besides files.

mod fingerprint;
mod image;
mod keep;
mod kept;
mod look_up;
mod quiet;
mod started_when_used;

pub(crate) use image::BaseImage;
pub(crate) use keep::ContainerStates;
pub use kept::{KeptImage, kept_images, remove_kept_image};
pub(crate) use look_up::{FindState, FoundState, give_up, start_from};
pub(crate) use started_when_used::StartedWhenUsed;
