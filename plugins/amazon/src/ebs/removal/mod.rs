//! Finding and removing what a build made, one file for each kind of thing. Cleaning up at the end
//! of a build and reclaiming what a killed one left do the same.
//!
//! Nothing is removed that is not known to be the build's own: it has an id that a call returned,
//! or a name chosen by the build and the run's tag. What is not there is removed.

mod iam;
mod image;
mod instance;
mod key_pair;
mod launch_template;
mod retry;
mod security_group;
mod volume;

pub(super) use iam::{iam, once_iam, remove_profile};
pub(crate) use image::{ImageMark, Snapshots, find_images, remove_image};
pub(super) use image::{
    PROTECTED, all_images, deregister_unprotected, find_snapshots, orphans, remove_snapshot,
    remove_snapshots_of, snapshots_created_for, snapshots_of,
};
pub(crate) use instance::TOKEN_TAG;
pub(super) use instance::{KnownInstance, Mark, find_instances, is_over, remove_instances};
pub(super) use key_pair::{find_key_pair, remove_key_pair};
pub(super) use launch_template::{find_launch_template, remove_fleet, remove_launch_template};
pub(crate) use retry::{look_for, persist};
pub(super) use security_group::{find_security_group, remove_security_group};
pub(super) use volume::remove_volume;

use retry::{FIRST_PAUSE, LONGEST_PAUSE, in_use, of_run};
