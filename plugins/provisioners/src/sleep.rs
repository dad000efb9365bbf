//! `provisioner "sleep"`

use std::sync::Arc;

use ingot_sdk::{
    Communicator, Config, ConfigErrors, GeneratedData, GoDuration, PrepareContext, Prepared,
    Provisioner, Result, RunContext, Schema, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Options {
    /// How long to wait.
    #[serde(default)]
    duration: GoDuration,
}

/// Waits.
#[derive(Default)]
pub struct SleepProvisioner {
    options: Options,
}

#[async_trait]
impl Provisioner for SleepProvisioner {
    fn schema(&self) -> Schema {
        Schema::of::<Options>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.options = config.decode()?;
        Ok(Prepared::default())
    }

    async fn provision(
        &self,
        _: &RunContext,
        _: Arc<dyn Communicator>,
        _: &GeneratedData,
    ) -> Result<()> {
        tokio::time::sleep(self.options.duration.0).await;
        Ok(())
    }
}
