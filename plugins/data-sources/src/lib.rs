//! The data sources that Packer has built in.
//!
//! They know the SDK; nothing of templates or of the engine.

mod http;
mod null;

use ingot_sdk::PluginSet;

pub use http::HttpData;
pub use null::NullData;

/// Adds the plugins of this crate to `set`.
pub fn register(set: &mut PluginSet) {
    set.add_data_source(HttpData);
    set.add_data_source(NullData);
}
