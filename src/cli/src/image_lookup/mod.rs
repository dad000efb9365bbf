//! What is known of an image that a user names: an image of Docker, a version of a registry, or an SBOM.

mod docker;
mod lookup;
mod registry;
mod subject;

pub use docker::DockerImages;
pub use lookup::look_up;
