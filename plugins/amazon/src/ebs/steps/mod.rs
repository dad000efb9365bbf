//! The steps of a build, in Packer's order. Each has a file of its own.

mod address;
mod attributes;
mod connect;
mod copy;
mod create_image;
mod deregister;
mod fast_launch;
mod image_tags;
mod instance;
mod key_pair;
mod launch;
mod launch_options;
mod network;
mod password;
mod power;
mod prevalidate;
mod profile;
mod protection;
mod register;
mod resume;
mod security_group;
mod sequence;
mod snapshot;
mod source_ami;
mod spot;
mod state;
mod states;
mod stop;
mod swap;
mod tunnel;
mod volumes;

pub(crate) use attributes::{Attributes, modify};
pub(crate) use create_image::{available, created, find_one, nameless};
pub(crate) use image_tags::add as add_tags;
pub(super) use sequence::steps;
pub(super) use state::State;
pub(crate) use state::{CreatedImage, left_behind, once};

use state::{ImageCreation, Subnet};
