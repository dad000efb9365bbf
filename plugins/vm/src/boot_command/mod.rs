//! `boot_command` and its kin: keys that are pressed on a machine's keyboard while it boots.
//!
//! A builder judges [`BootOptions`] with [`BootOptions::prepare`], waits with
//! [`BootOptions::wait_for_boot`], opens its way to the keyboard as a [`KeySink`], and types with
//! [`BootOptions::type_commands`].

pub mod keys;
mod options;
mod parser;
mod typist;

pub use keys::{Key, SpecialKey};
pub use options::{BootData, BootOptions};
pub use parser::{Action, Expression, Remark, Script, parse};
pub use typist::KeySink;
