//! What can be wrong with the options, told all at once and offline. The rules are Packer's.

mod ami;
mod devices;
mod errors;
mod fast_launch;
mod instance;
mod login;
mod network;
mod spot;
mod surrogate;
mod templates;
mod volumes;

pub(super) use ami::{
    DEFAULT_KEY_HINT, LEFT_NOWHERE, LEFT_NOWHERE_HINT, ami, default_key_message, is_left_nowhere,
    unshareable,
};
pub(crate) use ami::{kms_key, name};
pub(super) use devices::devices;
pub(super) use instance::{enhanced_networking, instance, is_burstable, placement, source};
pub(super) use login::login;
pub(super) use network::network;
pub(super) use spot::{is_spot, spot};
pub(super) use surrogate::surrogate;
pub(super) use templates::templates;
pub(super) use volumes::volumes;

pub(crate) use errors::one_of;
use errors::{wrong, wrong_with};
