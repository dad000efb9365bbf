//! The set of them.

use ingot_sdk::PluginSet;

use super::{artifact, image, iteration, version};

/// Adds the data sources to `set`.
pub fn register(set: &mut PluginSet) {
    set.add_data_source(version::VersionData);
    set.add_data_source(artifact::ArtifactData);
    set.add_data_source(iteration::IterationData);
    set.add_data_source(image::ImageData);
}
