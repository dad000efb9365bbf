//! The docker builder and its post-processors.

use ingot_sdk::PluginSet;

/// Adds the plugins of this crate to `set`.
pub fn register(_set: &mut PluginSet) {}
