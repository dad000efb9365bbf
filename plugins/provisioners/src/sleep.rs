//! `provisioner "sleep"`

use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::{
    Communicator, Component, ConfigErrors, Decoded, Effect, Facts, GeneratedData, GoDuration,
    PrepareContext, Prepared, Provision, Result, RunContext, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Options {
    /// How long to wait.
    #[serde(default)]
    duration: GoDuration,
}

/// `provisioner "sleep"`
pub(crate) struct SleepProvisioner;

/// Waits.
pub(crate) struct Sleep {
    duration: Duration,
}

impl Component for SleepProvisioner {
    const NAME: &'static str = "sleep";
    type Options = Options;
    type Ready = Sleep;

    fn facts(&self) -> Facts {
        Facts::of_effect(Effect::Options)
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<Sleep>, ConfigErrors> {
        Ok(Prepared::new(Sleep { duration: options.duration.0 }))
    }
}

#[async_trait]
impl Provision for Sleep {
    async fn provision(
        &self,
        _: &RunContext,
        _: Arc<dyn Communicator>,
        _: &GeneratedData,
    ) -> Result<()> {
        tokio::time::sleep(self.duration).await;
        Ok(())
    }
}
