//! The options, checked and carried out.

use std::time::Duration;

use ingot_sdk::{
    Config, ConfigError, ConfigErrors, ConfigWarning, Context, Error, GoDuration, OptionValue,
    PrepareContext, Prepared, Result, RunContext,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::parser::{Expression, Remark, parse};
use super::typist::{KeySink, Typist, pause};

/// How long the machine boots before anything is typed.
const DEFAULT_BOOT_WAIT: Duration = Duration::from_secs(10);

/// The pause after each movement of a key.
const DEFAULT_KEY_INTERVAL: Duration = Duration::from_millis(100);

/// The environment variable with another default for it.
const KEY_INTERVAL_VARIABLE: &str = "PACKER_KEY_INTERVAL";

/// The options, to be flattened into a builder's own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct BootOptions {
    /// What to type while the machine boots. The texts are typed one after the other, as one.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub boot_command: Vec<String>,
    /// The same in steps: lists of what to type and, if wanted, what that does. Not with
    /// `boot_command`.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub boot_steps: Vec<Vec<String>>,
    /// How long the machine boots before anything is typed: 10s. A negative time does not wait.
    pub boot_wait: Option<GoDuration>,
    /// The pause after each movement of a key: 100ms, or what the environment variable
    /// `PACKER_KEY_INTERVAL` says.
    pub boot_key_interval: Option<GoDuration>,
    /// An additional pause before each `<wait>` and at the end of the command or step: none.
    pub boot_keygroup_interval: Option<GoDuration>,
}

/// What a boot command can name in `{{ }}`.
#[derive(Debug, Clone, Default)]
pub struct BootData {
    /// `.HTTPIP`: where the machine reaches the HTTP server; empty without one.
    pub http_ip: String,
    /// `.HTTPPort`: the server's port; 0 without one.
    pub http_port: u16,
    /// `.Name`: the name of the machine.
    pub name: String,
    /// `.SSHPublicKey`: the key that may log in, as in `authorized_keys`.
    pub ssh_public_key: String,
}

impl BootData {
    fn names(&self) -> Value {
        json!({
            "HTTPIP": self.http_ip,
            "HTTPPort": self.http_port,
            "Name": self.name,
            "SSHPublicKey": self.ssh_public_key,
        })
    }
}

/// What is typed in one go.
struct Step<'a> {
    option: &'static str,
    texts: &'a [String],
    description: &'a str,
}

impl BootOptions {
    /// Whether there is anything to type.
    pub fn is_set(&self) -> bool {
        self.steps().iter().any(|step| step.texts.iter().any(|text| !text.is_empty()))
    }

    fn steps(&self) -> Vec<Step<'_>> {
        if !self.boot_command.is_empty() {
            return vec![Step {
                option: "boot_command",
                texts: &self.boot_command,
                description: "",
            }];
        }
        self.boot_steps
            .iter()
            .filter(|step| !step.is_empty())
            .map(|step| Step {
                option: "boot_steps",
                texts: &step[..1],
                description: step.get(1).map_or("", String::as_str),
            })
            .collect()
    }

    /// Judges the options. `config` is the block they were read from.
    pub fn prepare(
        &mut self,
        config: &Config,
        ctx: &PrepareContext,
        prepared: &mut Prepared,
        errors: &mut ConfigErrors,
    ) {
        // Packer takes zero for "not set" and a negative time for "do not wait".
        let waits = config.get("boot_wait").and_then(OptionValue::as_str).unwrap_or_default();
        if !waits.trim_start().starts_with('-') {
            self.boot_wait = self.boot_wait.filter(|wait| !wait.0.is_zero());
            self.boot_wait.get_or_insert(GoDuration(DEFAULT_BOOT_WAIT));
        }
        if !self.boot_command.is_empty() && !self.boot_steps.is_empty() {
            errors.push(ConfigError::on(
                "boot_steps",
                "`boot_command` and `boot_steps` cannot be used together",
            ));
        }
        let data = BootData {
            http_ip: "127.0.0.1".to_owned(),
            http_port: 8000,
            name: "name".to_owned(),
            ssh_public_key: "ssh-ed25519 key".to_owned(),
        };
        let mut line_breaks = false;
        for (number, step) in self.steps().iter().enumerate() {
            let place = if step.option == "boot_steps" && self.boot_steps.len() > 1 {
                format!("step {}: ", number + 1)
            } else {
                String::new()
            };
            let texts = match step.rendered(ctx, &data) {
                Ok(texts) => texts,
                Err(error) => {
                    errors.push(ConfigError::on(step.option, format!("{place}{error}")));
                    continue;
                }
            };
            match parse(&texts.concat()) {
                Ok(script) => {
                    let warnings = script.warnings.iter();
                    prepared.warnings.extend(warnings.map(|remark| {
                        let remark = located(remark, &texts);
                        let message = format!("{}: {place}{remark}", step.option);
                        ConfigWarning::on(step.option, message)
                    }));
                    if let Some(at) = script.line_break.filter(|_| !line_breaks) {
                        line_breaks = true;
                        let message = "line breaks are not typed; write <enter> to press Enter";
                        let remark = Remark { at, message: message.to_owned() };
                        let remark = located(&remark, &texts);
                        let message = format!("{}: {place}{remark}", step.option);
                        prepared.warnings.push(ConfigWarning::on(step.option, message));
                    }
                }
                Err(remark) => {
                    let why = format!("{place}{}", located(&remark, &texts));
                    errors.push(ConfigError::on(step.option, why));
                }
            }
        }
    }

    /// Lets the machine boot for as long as `boot_wait` says.
    ///
    /// # Errors
    /// The build was cancelled.
    pub async fn wait_for_boot(&self, ctx: &RunContext) -> Result<()> {
        let wait = self.boot_wait.unwrap_or(GoDuration(DEFAULT_BOOT_WAIT));
        if wait.0.is_zero() {
            return Ok(());
        }
        ctx.ui.say(format!("Waiting {wait} for boot..."));
        pause(ctx, wait.0).await
    }

    /// Types everything. With `-debug`, pauses after each step.
    ///
    /// # Errors
    /// A key could not be moved, a name has no value, or the build was cancelled.
    pub async fn type_commands(
        &self,
        ctx: &RunContext,
        data: &BootData,
        keyboard: &mut dyn KeySink,
    ) -> Result<()> {
        let mut typist = Typist { ctx, keyboard, interval: self.key_interval()? };
        let between_groups = self.boot_keygroup_interval.unwrap_or_default().0;
        for step in self.steps() {
            if !step.description.is_empty() {
                ctx.ui.say(format!("Typing boot command for: {}", step.description));
            }
            let texts = step.rendered(&ctx.prepare, data).context(step.option)?;
            let script = parse(&texts.concat())
                .map_err(|remark| Error::new(located(&remark, &texts)).context(step.option))?;
            for expression in script.expressions {
                match expression {
                    Expression::Wait(duration) => pause(ctx, between_groups + duration).await?,
                    Expression::Key(key, action) => typist.act(key, action).await?,
                }
            }
            pause(ctx, between_groups).await?;
            if ctx.prepare.debug {
                let question = match step.description {
                    "" => "Pausing after the boot command. Press enter to continue.".to_owned(),
                    what => format!("Pausing after boot step {what:?}. Press enter to continue."),
                };
                tokio::select! {
                    () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
                    // Without anybody to ask, -debug does not pause.
                    _ = ctx.ui.ask(&question) => {}
                }
            }
        }
        Ok(())
    }

    fn key_interval(&self) -> Result<Duration> {
        if let Some(interval) = self.boot_key_interval.filter(|interval| !interval.0.is_zero()) {
            return Ok(interval.0);
        }
        match std::env::var(KEY_INTERVAL_VARIABLE) {
            Ok(text) if !text.is_empty() => GoDuration::parse(&text)
                .map(|interval| interval.0)
                .map_err(|why| Error::new(why).context(KEY_INTERVAL_VARIABLE)),
            _ => Ok(DEFAULT_KEY_INTERVAL),
        }
    }
}

impl Step<'_> {
    /// Its texts with names replaced by their values.
    fn rendered(&self, ctx: &PrepareContext, data: &BootData) -> Result<Vec<String>> {
        let names = data.names();
        self.texts
            .iter()
            .map(|text| ctx.render(text, &names).map_err(|error| Error::new(error.0)))
            .collect()
    }
}

/// The remark, with its place in the texts that were read as one.
fn located(remark: &Remark, texts: &[String]) -> String {
    let mut at = remark.at;
    for (number, text) in texts.iter().enumerate() {
        if at < text.len() {
            let column = text.get(..at).map_or(at, |before| before.chars().count()) + 1;
            let which =
                if texts.len() > 1 { format!(" of text {}", number + 1) } else { String::new() };
            return format!("{} (at character {column}{which})", remark.message);
        }
        at -= text.len();
    }
    remark.message.clone()
}
