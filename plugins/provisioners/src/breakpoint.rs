//! `provisioner "breakpoint"`

use std::sync::Arc;

use ingot_sdk::{
    Communicator, Config, ConfigErrors, Error, GeneratedData, PrepareContext, Prepared,
    Provisioner, Result, RunContext, Schema, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Options {
    /// What to say where the build pauses.
    #[serde(default)]
    note: String,
    /// Pass by without pausing.
    #[serde(default)]
    disable: bool,
}

/// Pauses the build until the user goes on.
#[derive(Default)]
pub struct BreakpointProvisioner {
    options: Options,
}

#[async_trait]
impl Provisioner for BreakpointProvisioner {
    fn schema(&self) -> Schema {
        Schema::of::<Options>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.options = config.decode()?;
        Ok(Prepared::default())
    }

    async fn provision(
        &self,
        ctx: &RunContext,
        _: Arc<dyn Communicator>,
        _: &GeneratedData,
    ) -> Result<()> {
        let note = match self.options.note.as_str() {
            "" => String::new(),
            note => format!(" with note \"{note}\""),
        };
        if self.options.disable {
            ctx.ui.say(format!("Breakpoint provisioner{note} disabled; continuing..."));
            return Ok(());
        }
        ctx.ui.say(format!("Pausing at breakpoint provisioner{note}."));
        tokio::select! {
            () = ctx.cancel.cancelled() => Err(Error::Cancelled),
            answer = ctx.ui.ask("Press enter to continue.") => match answer {
                Ok(_) => Ok(()),
                Err(error) => Err(Error::new(format!("nobody can continue from a breakpoint: {error}"))
                    .hint("run on a terminal, or set disable = true")),
            },
        }
    }
}
