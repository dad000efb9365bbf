//! The post-processors that need no plugin: manifest, checksum, compress, shell-local, artifice.

use ingot_sdk::PluginSet;

/// Adds the plugins of this crate to `set`.
pub fn register(_set: &mut PluginSet) {}
