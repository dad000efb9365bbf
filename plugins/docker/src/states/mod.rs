//! The step cache of containers: the state after a provisioner is an image.
//!
//! The image of a state is named [`image::REPOSITORY`] with its key as the tag, and its comment says the same,
//! so that no image is taken for another's. It has one layer more than the image that the build started
//! from. A state is kept only where the image holds all that later provisioners could see: see [`quiet`]
//! for what it cannot hold, and [`fingerprint`] for what a provisioner may have left besides files.
//!
//! No container is started from the image of a state: that would leave its layers in the image that is
//! built. Its layer is unpacked into a container of the image that the build starts from ([`restore`]).
//! Machines share states as files with that layer ([`shared`]).
//! Where an earlier build was the same to the end, there is no container at all ([`result`]).

mod cached;
mod fingerprint;
mod image;
mod keep;
mod layer;
mod look_up;
mod quiet;
mod restore;
mod result;
mod shared;

pub(crate) use cached::CachedImages;
pub(crate) use image::{BaseImage, is_a_state};
pub(crate) use keep::ContainerStates;
pub(crate) use look_up::{FindState, FoundState, give_up, restore_found};
pub(crate) use result::{MadeImage, keep as keep_made};
pub(crate) use shared::export;
