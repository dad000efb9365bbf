//! `provisioner "breakpoint"`

use std::sync::Arc;

use ingot_sdk::{
    Communicator, Component, ConfigErrors, Decoded, Effect, Error, Facts, GeneratedData,
    PrepareContext, Prepared, Provision, Result, RunContext, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Options {
    /// What to say where the build pauses.
    #[serde(default)]
    note: String,
    /// Do not pause.
    #[serde(default)]
    disable: bool,
}

/// `provisioner "breakpoint"`
pub(crate) struct BreakpointProvisioner;

/// Pauses the build until the user goes on.
pub(crate) struct Breakpoint {
    options: Options,
}

impl Component for BreakpointProvisioner {
    const NAME: &'static str = "breakpoint";
    type Options = Options;
    type Ready = Breakpoint;

    fn facts(&self) -> Facts {
        Facts::of_effect(Effect::Never("it waits for somebody who may change anything"))
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<Breakpoint>, ConfigErrors> {
        Ok(Prepared::new(Breakpoint { options }))
    }
}

#[async_trait]
impl Provision for Breakpoint {
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
