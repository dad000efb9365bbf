//! The provisioners that need no plugin: shell, shell-local, file, breakpoint.

use ingot_sdk::PluginSet;

/// Adds the plugins of this crate to `set`.
pub fn register(_set: &mut PluginSet) {}
