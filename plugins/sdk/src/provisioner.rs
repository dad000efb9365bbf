//! Provisioners change the machine that a builder brought up.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    Communicator, Config, ConfigErrors, GeneratedData, PrepareContext, Prepared, Result,
    RunContext, Schema,
};

/// Changes a running machine through its communicator.
#[async_trait]
pub trait Provisioner: Send + Sync {
    /// The options of the provisioner block. The engine's own (`only`, `except`, `override`,
    /// `pause_before`, `max_retries`, `timeout`) are not among them.
    fn schema(&self) -> Schema;

    /// Checks `config` and keeps it. No side effects, offline.
    ///
    /// Options that only the build will know are absent while a template is checked (see
    /// [`Config`]); the engine prepares the provisioner again, with all of them, right before it
    /// runs.
    ///
    /// # Errors
    /// Everything that is wrong with the options.
    fn prepare(&mut self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors>;

    /// Does the work. `data` is what the builder generated (`build.*`).
    ///
    /// # Errors
    /// What failed. The engine races this future against cancellation and `timeout`.
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()>;
}
