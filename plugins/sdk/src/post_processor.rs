//! Post-processors turn an artifact into another.

use std::sync::Arc;

use async_trait::async_trait;

use crate::component::{Erase, Prepare};
use crate::{Artifact, GeneratedData, Result, RunContext};

/// What a post-processor made.
pub struct Processed {
    /// What the pipeline goes on with: the new artifact, or the input for a post-processor that only
    /// has an effect. None ends the pipeline, and the input is not counted as an artifact of it.
    pub artifact: Option<Arc<dyn Artifact>>,
    /// Whether the input is kept when the template does not say and there is an artifact.
    pub keep_input: bool,
    /// Whether `keep_input` holds even against the template's `keep_input_artifact`: the
    /// output would be worthless without the input.
    pub force_keep_input: bool,
}

/// A post-processor without its options: `post-processor "NAME"`. The engine's own options
/// (`name`, `only`, `except`, `keep_input_artifact`) are not in its schema.
pub type PostProcessor = dyn Prepare<dyn PostProcess>;

/// A post-processor that has its options.
#[async_trait]
pub trait PostProcess: Send + Sync {
    /// Turns `artifact` into another. `data` is what the builder, or the post-processor before,
    /// generated.
    ///
    /// # Errors
    /// What failed, or that `artifact` is not of a kind this post-processor can take.
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        data: &GeneratedData,
    ) -> Result<Processed>;
}

impl<P: PostProcess + 'static> Erase<P> for dyn PostProcess {
    fn erase(ready: P) -> Box<Self> {
        Box::new(ready)
    }
}
