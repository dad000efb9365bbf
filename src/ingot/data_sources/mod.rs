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
    set.data_source::<version::VersionData>("hcp-packer-version");
    set.data_source::<artifact::ArtifactData>("hcp-packer-artifact");
    set.data_source::<iteration::IterationData>("hcp-packer-iteration");
    set.data_source::<image::ImageData>("hcp-packer-image");
}
