//! Data sources that read a registry: versions and artifacts, and both by the names they had
//! before.

mod artifact;
mod image;
mod iteration;
mod lookup;
mod version;

use ingot_sdk::PluginSet;

/// Adds the data sources to `set`.
pub fn register(set: &mut PluginSet) {
    set.add_data_source(version::VersionData);
    set.add_data_source(artifact::ArtifactData);
    set.add_data_source(iteration::IterationData);
    set.add_data_source(image::ImageData);
}
