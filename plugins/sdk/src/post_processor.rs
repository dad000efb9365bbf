//! Post-processors turn an artifact into another.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    Artifact, Config, ConfigErrors, GeneratedData, PrepareContext, Prepared, Result, RunContext,
    Schema,
};

/// What a post-processor made.
pub struct Processed {
    /// The new artifact, or none if it only had an effect.
    pub artifact: Option<Arc<dyn Artifact>>,
    /// Whether the input is kept when the template does not say.
    pub keep_input: bool,
    /// Whether `keep_input` holds even against the template's `keep_input_artifact`: the
    /// output would be worthless without the input.
    pub force_keep_input: bool,
}

/// Turns an artifact into another.
#[async_trait]
pub trait PostProcessor: Send + Sync {
    /// The options of the post-processor block, without the engine's own (`name`, `only`,
    /// `except`, `keep_input_artifact`).
    fn schema(&self) -> Schema;

    /// Checks `config` and keeps it; called again with real values before it runs.
    ///
    /// # Errors
    /// Everything that is wrong with the options.
    fn prepare(&mut self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors>;

    /// Does the work.
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
