//! `provisioner "shell"`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ingot_sdk::communicator::UiOutput;
use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{
    Communicator, Component, ConfigError, ConfigErrors, Decoded, Effect, Error, ExitStatus, Facts,
    GeneratedData, GoDuration, PrepareContext, Prepared, Provision, RemoteCommand, Result,
    RunContext, async_trait, command::quote_path, retry::Retry, script,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::remote_script::{self, ScriptOutcome, Start, Upload, unless_away};

/// The exit codes of a command that a signal ended, as on a machine that goes down: HUP, KILL, TERM.
const ENDED_FROM_OUTSIDE: [i32; 3] = [129, 137, 143];

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Options {
    /// The lines of a script.
    #[serde(default)]
    inline: Vec<String>,
    /// What runs an inline script; `/bin/sh -e`.
    inline_shebang: Option<String>,
    /// A script file.
    #[schemars(extend("reads" = "paths"))]
    script: Option<String>,
    /// Script files, run in order.
    #[serde(default)]
    #[schemars(extend("reads" = "paths"))]
    scripts: Vec<String>,
    /// Upload scripts byte by byte; otherwise Windows line ends become Unix ones.
    #[serde(default)]
    binary: bool,
    /// Variables for the script, as `NAME=value`.
    #[serde(default)]
    environment_vars: Vec<String>,
    /// Variables for the script.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// How a variable is written, with two `%s` for name and value.
    env_var_format: Option<String>,
    /// Put the variables into a file that the command reads, rather than into the command.
    #[serde(default)]
    use_env_var_file: bool,
    /// The command line; `{{ .Vars }}`, `{{ .Path }}` and `{{ .EnvVarFile }}` are filled in.
    #[schemars(extend("rendered_late" = true))]
    execute_command: Option<String>,
    /// The directory on the machine that scripts are uploaded to; `/tmp`.
    remote_folder: Option<String>,
    /// The name of the script there; `script_NUMBER.sh`.
    remote_file: Option<String>,
    /// Directory and name in one.
    remote_path: Option<String>,
    /// Whether losing the connection is fine, as when a script reboots the machine.
    #[serde(default)]
    expect_disconnect: bool,
    /// Exit codes that mean success.
    #[serde(default)]
    valid_exit_codes: Vec<i64>,
    /// How long to try to start the script; 5m.
    start_retry_timeout: Option<GoDuration>,
    /// Leave the script on the machine.
    #[serde(default)]
    skip_clean: bool,
    /// How long to wait after the scripts.
    #[serde(default)]
    pause_after: GoDuration,
}

/// `provisioner "shell"`
pub(crate) struct ShellProvisioner;

/// Runs scripts on the machine.
pub(crate) struct Shell {
    options: Options,
    variables: BTreeMap<String, String>,
    /// What tells the files on the machine from those of other steps. The same in every attempt at a
    /// step: the one that succeeds removes what those before it left.
    number: u128,
    /// Whether files of it may be on the machine.
    left: AtomicBool,
}

impl Component for ShellProvisioner {
    const NAME: &'static str = "shell";
    type Options = Options;
    type Ready = Shell;

    fn facts(&self) -> Facts {
        Facts::of_effect(Effect::Scripts { named_in: None })
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Shell>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        script::check_sources(
            &options.inline,
            options.script.as_deref(),
            &options.scripts,
            None,
            &mut errors,
        );
        let variables = script::environment(&options.environment_vars, &options.env, &mut errors);
        let command = options.execute_command.as_deref().unwrap_or_default();
        if let Err(error) = Interpolation::new(ctx).check(command) {
            errors.push(ConfigError::on("execute_command", error.to_string()));
        }
        let number = uuid::Uuid::new_v4().as_u128() % 10_000;
        let left = AtomicBool::new(false);
        errors.into_result(Prepared::new(Shell { options, variables, number, left }))
    }
}

#[async_trait]
impl Provision for Shell {
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()> {
        let machine = self.machine(ctx, &*communicator);
        let mut variables = self.variables.clone();
        script::build_variables(ctx, data, &mut variables);
        if self.options.inline.is_empty() {
            for path in self.options.script.iter().chain(&self.options.scripts) {
                ctx.ui.say(format!("Provisioning with shell script: {path}"));
                let bytes = script::read(ctx, path).await?;
                machine.run(bytes, &variables, data).await?;
            }
        } else {
            ctx.ui.say("Provisioning with shell script: inline");
            let shebang = self.options.inline_shebang.as_deref().filter(|line| !line.is_empty());
            let text = script::inline_text(&self.options.inline, shebang);
            machine.run(text.into_bytes(), &variables, data).await?;
        }
        remote_script::pause(ctx, self.options.pause_after).await;
        Ok(())
    }

    async fn clean_up(&self, ctx: &RunContext, communicator: &dyn Communicator) -> Result<()> {
        let machine = self.machine(ctx, communicator);
        match remote_script::announces_removal(ctx, &self.left, &machine.files()) {
            true => machine.remove().await,
            false => Ok(()),
        }
    }
}

impl Shell {
    fn machine<'a>(&'a self, ctx: &'a RunContext, link: &'a dyn Communicator) -> Machine<'a> {
        let Shell { options, number, left, .. } = self;
        Machine { options, ctx, link, number: *number, left }
    }
}

struct Machine<'a> {
    options: &'a Options,
    ctx: &'a RunContext,
    link: &'a dyn Communicator,
    number: u128,
    left: &'a AtomicBool,
}

impl Machine<'_> {
    /// Where a script is on the machine, and where the file with its variables.
    fn paths(&self) -> (String, String) {
        let (options, number) = (self.options, self.number);
        let directory = options.remote_folder.as_deref().unwrap_or("/tmp");
        let file = options.remote_file.clone().unwrap_or_else(|| format!("script_{number}.sh"));
        let path = options.remote_path.clone().unwrap_or_else(|| format!("{directory}/{file}"));
        (path, format!("{directory}/varfile_{number}.sh"))
    }

    /// The files that it may have put on the machine, and does not leave there.
    fn files(&self) -> Vec<String> {
        if self.options.skip_clean {
            return Vec::new();
        }
        let (path, var_file) = self.paths();
        let in_file = self.options.use_env_var_file;
        [path].into_iter().chain(in_file.then_some(var_file)).collect()
    }

    async fn run(
        &self,
        mut script_bytes: Vec<u8>,
        variables: &BTreeMap<String, String>,
        data: &GeneratedData,
    ) -> Result<()> {
        let options = self.options;
        if !options.binary {
            script_bytes = with_unix_line_ends(script_bytes);
        }
        let (path, var_file) = self.paths();
        let in_file = options.use_env_var_file;
        let format = options.env_var_format.as_deref().unwrap_or(match in_file {
            true => "export %s='%s'\n",
            false => "%s='%s' ",
        });
        let assignments = script::assignments(variables, format);
        let mut files = Vec::new();
        let mut names = json!(data);
        names["Path"] = path.as_str().into();
        names["Vars"] = assignments.as_str().into();
        if in_file {
            names["EnvVarFile"] = var_file.as_str().into();
            files.push(Upload { path: &var_file, bytes: assignments.as_bytes(), mode: 0o600 });
        }
        let template = options.execute_command.as_deref().unwrap_or(match in_file {
            true => "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}",
            false => "chmod +x {{.Path}}; {{.Vars}} {{.Path}}",
        });
        let command = self
            .ctx
            .prepare
            .render(template, &names)
            .map_err(|error| Error::new(format!("execute_command: {error}")))?;

        files.push(Upload { path: &path, bytes: &script_bytes, mode: 0o755 });
        let removes = !options.skip_clean && !in_file;
        let limit = options.start_retry_timeout;
        let start = Start { ctx: self.ctx, link: self.link, limit, removes };
        self.left.store(true, Ordering::Relaxed);
        let ScriptOutcome { status, removed } = start.run(&files, &command).await?;
        if removed {
            self.left.store(false, Ordering::Relaxed);
        }
        match status {
            ExitStatus::Disconnected if !options.expect_disconnect => Err(Error::new(
                "Script disconnected unexpectedly",
            )
            .hint("if the script is meant to end the connection, set expect_disconnect = true")),
            ExitStatus::Disconnected => self.remove().await,
            ExitStatus::Code(code) => {
                let result = script::check_exit(code, &options.valid_exit_codes);
                let cleaned = match removed {
                    true => Ok(()),
                    false => self.remove().await,
                };
                result.and(cleaned)
            }
        }
    }

    /// Removes what was uploaded, which the image must not hold. Whatever the script ended with, it may
    /// have told the machine to reboot, which may take a while to come back then.
    async fn remove(&self) -> Result<()> {
        let files = self.files();
        if files.is_empty() {
            return Ok(());
        }
        let limit = remote_script::start_timeout(self.options.start_retry_timeout);
        let retry = Retry { timeout: Some(limit), ..Retry::default() };
        let removed = retry.run(&self.ctx.cancel, Error::is_transient, |_| self.clean(&files));
        unless_away(self.link, limit, "start_retry_timeout", removed).await?;
        self.left.store(false, Ordering::Relaxed);
        Ok(())
    }

    async fn clean(&self, paths: &[String]) -> Result<()> {
        // As they were uploaded: `~` and `$NAME` mean the same again.
        let paths: Vec<_> = paths.iter().map(|path| quote_path(path)).collect();
        let command = RemoteCommand::new(format!("rm -f {}", paths.join(" ")));
        let output = UiOutput::new(self.ctx.ui.clone());
        match self.link.exec(&command, &output).await? {
            ExitStatus::Code(0) => Ok(()),
            ExitStatus::Disconnected => Err(Error::new(
                "the connection was lost while the temporary script was removed from the machine",
            )
            .transient()),
            ExitStatus::Code(code) => {
                let error = Error::new("Error removing the temporary script from the machine");
                let passes = ENDED_FROM_OUTSIDE.contains(&code);
                Err(if passes { error.transient() } else { error })
            }
        }
    }
}

/// The script with `\n` for each `\r\n`, and every other byte as it is: it may be in any encoding.
fn with_unix_line_ends(script: Vec<u8>) -> Vec<u8> {
    let mut bytes = script.into_iter().peekable();
    let mut text = Vec::with_capacity(bytes.len());
    while let Some(byte) = bytes.next() {
        if byte != b'\r' || bytes.peek() != Some(&b'\n') {
            text.push(byte);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_line_ends_change() {
        let latin1 = b"#!/bin/sh\r\necho \xe9 \r x\r\r\n\r".to_vec();
        assert_eq!(with_unix_line_ends(latin1), b"#!/bin/sh\necho \xe9 \r x\r\n\r");
        assert_eq!(with_unix_line_ends(b"plain\n".to_vec()), b"plain\n");
    }
}
