//! Data sources fetch a value that a template builds on.

use async_trait::async_trait;

use crate::{Config, ConfigErrors, PrepareContext, Prepared, Result, Schema, Ui};

/// Fetches a value.
#[async_trait]
pub trait DataSource: Send + Sync {
    /// The options of the data block.
    fn schema(&self) -> Schema;
    /// The attributes of the value, so that `validate` can check references without asking.
    fn output(&self) -> Schema;
    /// Checks `config` and keeps it.
    ///
    /// # Errors
    /// Everything that is wrong with the options.
    fn prepare(&mut self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors>;
    /// Fetches the value, a JSON object with the attributes of [`DataSource::output`]. Creates
    /// nothing that would have to be removed. The engine races this future against cancellation.
    ///
    /// # Errors
    /// What failed.
    async fn execute(&self, ui: &Ui) -> Result<serde_json::Value>;
}
