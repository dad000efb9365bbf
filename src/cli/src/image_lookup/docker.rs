//! Images of Docker.

use async_trait::async_trait;
use ingot_compare::{Image, Part};
use ingot_sdk::{Error, Result, RunContext};

/// The images of the Docker Engine that the environment names.
// Whoever asks waits on its own thread.
#[async_trait(?Send)]
pub trait DockerImages {
    /// What is in an image; none if there is no such image.
    ///
    /// # Errors
    /// The Engine cannot be reached, or fails.
    async fn image(&self, ctx: &RunContext, name: &str, parts: &[Part]) -> Result<Option<Image>>;
}

pub(super) fn missing(image: &str) -> Error {
    Error::new(format!("there is no image {image} on the Docker Engine"))
        .hint("`docker pull` it first; a version of a registry is written BUCKET@FINGERPRINT")
}
