//! The steps of a build, in Packer's order. Each has a file of its own.

mod attributes;
mod connect;
mod copy;
mod create_image;
mod deregister;
mod fast_launch;
mod image_tags;
mod kept;
mod key_pair;
mod launch;
mod network;
mod password;
mod power;
mod prevalidate;
mod profile;
mod protection;
mod register;
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

pub(super) use sequence::steps;
pub(super) use state::{CreatedImage, State};

use state::{ImageCreation, Subnet, left_behind, once};
