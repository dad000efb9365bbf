//! The options of the builders, as written. Names and defaults are Packer's.

mod ami;
mod block_device;
mod instance;
mod network;
mod schemas;
mod source_block;
mod spot;
mod surrogate;
mod tags;
mod volumes;

pub(super) use source_block::Options;

pub(super) use ami::FastLaunch;
pub(crate) use ami::{clean_function, clean_name};
pub(super) use block_device::BlockDevice;
pub(super) use network::SESSION_MANAGER;
pub(super) use schemas::{schema, surrogate_schema, volume_schema};
pub(crate) use source_block::given;
pub(super) use surrogate::{RootDevice, Surrogate, SurrogateOptions};
pub(super) use tags::Tags;
pub(super) use volumes::{EbsVolume, VolumeOptions};

use crate::access::AccessOptions;
