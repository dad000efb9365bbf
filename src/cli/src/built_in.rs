//! What a program hands to its command line.

use std::sync::Arc;

use ingot_provenance::KeyService;
use ingot_sdk::PluginSet;

use crate::image_lookup::DockerImages;

/// The parts of a program that its command line does not know by itself.
#[derive(Clone, Copy)]
pub struct BuiltIn {
    /// The plugins.
    pub plugins: fn() -> PluginSet,
    /// What signs with the keys that a cloud keeps, if there is something that can.
    pub key_service: fn() -> Option<Arc<dyn KeyService>>,
    /// The images that `diff` compares.
    pub docker_images: &'static dyn DockerImages,
}
