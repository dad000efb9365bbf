//! The file builder: writes one file.

use ingot_sdk::PluginSet;

/// Adds the plugins of this crate to `set`.
pub fn register(_set: &mut PluginSet) {}
