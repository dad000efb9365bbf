//! A worked example: `provisioner "motd"` writes the message of the day of the machine that is
//! built.
//!
//! ```hcl
//! provisioner "motd" {
//!   text = "Built from {{ build_name }}. Changes are lost with the next image."
//! }
//! ```
//!
//! A plugin has three parts: the options, which are a type; the component, which checks them; and
//! what the component makes of them, which runs.

use std::sync::Arc;

use ingot_sdk::{
    Communicator, Component, ConfigError, ConfigErrors, ConfigWarning, Decoded, FileMeta,
    GeneratedData, PluginSet, PrepareContext, Prepared, Provision, Result, RunContext, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Adds this crate's plugins to those of a program.
pub fn register(set: &mut PluginSet) {
    set.add_provisioner(Motd);
}

/// The options of `provisioner "motd"`. Their names, types, defaults and comments are what
/// templates are checked against and what the option reference is made of.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Options {
    /// The message. `{{ }}` in it has been rendered by the engine already.
    text: String,
    /// The file to write, with its directory.
    #[serde(default = "default_path")]
    path: String,
}

fn default_path() -> String {
    "/etc/motd".to_owned()
}

/// `provisioner "motd"`
pub struct Motd;

/// A message that is ready to be written: it can only be had from [`Motd`].
pub struct WriteMessage {
    message: String,
    path: String,
}

impl Component for Motd {
    const NAME: &'static str = "motd";
    type Options = Options;
    type Ready = WriteMessage;

    fn prepare(
        &self,
        Decoded { options, config }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<WriteMessage>, ConfigErrors> {
        // All that is wrong, not the first thing only.
        let mut errors = ConfigErrors::default();
        if options.text.trim().is_empty() {
            errors.push(
                ConfigError::on("text", "the message is empty")
                    .hint("write what users of the machine are to read"),
            );
        }
        if !options.path.starts_with('/') {
            errors.push(
                ConfigError::on("path", format!("`{}` is not an absolute path", options.path))
                    .hint("begin it with a slash, as in /etc/motd"),
            );
        }
        let mut prepared = Prepared::default();
        if config.has("path") && options.path == default_path() {
            let message = "motd: `path` is /etc/motd anyway";
            prepared.warnings.push(ConfigWarning::on("path", message));
        }
        let message = format!("{}\n", options.text.trim_end());
        errors.into_result(prepared.with(WriteMessage { message, path: options.path }))
    }
}

#[async_trait]
impl Provision for WriteMessage {
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        _: &GeneratedData,
    ) -> Result<()> {
        ctx.ui.say(format!("Writing the message of the day to {}", self.path));
        let meta = FileMeta::new(self.message.len() as u64, 0o644);
        communicator.upload(&self.path, &mut self.message.as_bytes(), meta).await
    }
}
