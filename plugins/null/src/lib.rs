//! The null builder: provisions a machine that is already there.

use ingot_sdk::PluginSet;

/// Adds the plugins of this crate to `set`.
pub fn register(_set: &mut PluginSet) {}
