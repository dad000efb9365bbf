//! `provisioner "shell"`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::communicator::UiOutput;
use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{
    Communicator, Config, ConfigError, ConfigErrors, Context, Error, ExitStatus, FileMeta,
    GeneratedData, GoDuration, PrepareContext, Prepared, Provisioner, RemoteCommand, Result,
    RunContext, Schema, async_trait, command::quote, retry::Retry, script,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Options {
    /// The lines of a script.
    #[serde(default)]
    inline: Vec<String>,
    /// What runs an inline script; `/bin/sh -e`.
    inline_shebang: Option<String>,
    /// A script file.
    script: Option<String>,
    /// Script files, run in order.
    #[serde(default)]
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
    execute_command: Option<String>,
    /// The folder on the machine that scripts are uploaded to; `/tmp`.
    remote_folder: Option<String>,
    /// The name of the script there; `script_NUMBER.sh`.
    remote_file: Option<String>,
    /// Folder and name in one.
    remote_path: Option<String>,
    /// Whether losing the connection is fine, as when a script reboots the machine.
    #[serde(default)]
    expect_disconnect: bool,
    /// Exit codes that mean success.
    #[serde(default)]
    valid_exit_codes: Vec<i32>,
    /// How long to try to start the script; 5m.
    start_retry_timeout: Option<GoDuration>,
    /// Leave the script on the machine.
    #[serde(default)]
    skip_clean: bool,
    /// How long to wait after the scripts.
    #[serde(default)]
    pause_after: GoDuration,
}

/// Runs scripts on the machine.
#[derive(Default)]
pub struct ShellProvisioner {
    options: Options,
    variables: BTreeMap<String, String>,
}

#[async_trait]
impl Provisioner for ShellProvisioner {
    fn schema(&self) -> Schema {
        Schema::of::<Options>()
    }

    fn prepare(&mut self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.options = config.decode()?;
        let options = &self.options;
        let mut errors = ConfigErrors::default();
        script::check_sources(
            &options.inline,
            options.script.as_deref(),
            &options.scripts,
            None,
            &mut errors,
        );
        self.variables = script::environment(&options.environment_vars, &options.env, &mut errors);
        let command = options.execute_command.as_deref().unwrap_or_default();
        if let Err(error) = Interpolation::new(ctx).check(command) {
            errors.push(ConfigError::on("execute_command", error.to_string()));
        }
        errors.into_result(Prepared::default())
    }

    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()> {
        let machine = Machine { options: &self.options, ctx, link: &*communicator };
        let mut variables = self.variables.clone();
        variables.insert("PACKER_BUILD_NAME".into(), ctx.prepare.build_name.clone());
        variables.insert("PACKER_BUILDER_TYPE".into(), ctx.prepare.build_type.clone());
        for name in ["PACKER_HTTP_ADDR", "PACKER_HTTP_IP", "PACKER_HTTP_PORT"] {
            let known = data.get(name.trim_start_matches("PACKER_HTTP_")).or(data.get(name));
            let known = known.and_then(|value| value.as_str()).filter(|text| !text.is_empty());
            variables.extend(known.map(|text| (name.to_owned(), text.to_owned())));
        }
        if self.options.inline.is_empty() {
            for path in self.options.script.iter().chain(&self.options.scripts) {
                ctx.ui.say(format!("Provisioning with shell script: {path}"));
                let bytes =
                    tokio::fs::read(path).await.with_context(|| format!("reading {path}"))?;
                machine.run(bytes, &variables, data).await?;
            }
        } else {
            ctx.ui.say("Provisioning with an inline shell script");
            let text = script::inline_text(
                &self.options.inline,
                self.options.inline_shebang.as_deref(),
                "/bin/sh -e",
            );
            machine.run(text.into_bytes(), &variables, data).await?;
        }
        let pause = self.options.pause_after;
        if !pause.0.is_zero() {
            ctx.ui.say(format!("Pausing {pause} after this provisioner..."));
            tokio::time::sleep(pause.0).await;
        }
        Ok(())
    }
}

struct Machine<'a> {
    options: &'a Options,
    ctx: &'a RunContext,
    link: &'a dyn Communicator,
}

impl Machine<'_> {
    async fn run(
        &self,
        mut script_bytes: Vec<u8>,
        variables: &BTreeMap<String, String>,
        data: &GeneratedData,
    ) -> Result<()> {
        let options = self.options;
        if !options.binary {
            let crlf = |pair: &[u8]| pair == b"\r\n";
            if script_bytes.windows(2).any(crlf) {
                script_bytes = String::from_utf8_lossy(&script_bytes).replace("\r\n", "\n").into();
            }
        }
        let number = uuid::Uuid::new_v4().as_u128() % 10_000;
        let folder = options.remote_folder.as_deref().unwrap_or("/tmp");
        let file = options.remote_file.clone().unwrap_or_else(|| format!("script_{number}.sh"));
        let path = options.remote_path.clone().unwrap_or_else(|| format!("{folder}/{file}"));

        let in_file = options.use_env_var_file;
        let format = options.env_var_format.as_deref().unwrap_or(match in_file {
            true => "export %s='%s'\n",
            false => "%s='%s' ",
        });
        let assignments = script::assignments(variables, format);
        let mut uploaded = vec![path.clone()];
        let mut names = json!(data);
        names["Path"] = path.as_str().into();
        names["Vars"] = assignments.as_str().into();
        if in_file {
            let var_file = format!("{folder}/varfile_{number}.sh");
            names["EnvVarFile"] = var_file.as_str().into();
            self.upload(&var_file, assignments.as_bytes(), 0o600).await?;
            uploaded.push(var_file);
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

        let limit = options.start_retry_timeout.map_or(Duration::from_secs(300), |limit| limit.0);
        let retry = Retry { timeout: Some(limit), ..Retry::default() };
        let output = UiOutput::new(self.ctx.ui.clone());
        let status = retry
            .run(
                &self.ctx.cancel,
                |error| {
                    self.ctx.ui.message(format!("Could not start the script, retrying: {error}"));
                    true
                },
                |_| async {
                    self.upload(&path, &script_bytes, 0o755).await?;
                    self.link.exec(&RemoteCommand::new(command.as_str()), &output).await
                },
            )
            .await?;
        output.finish();
        match status {
            ExitStatus::Disconnected if !options.expect_disconnect => Err(Error::new(
                "Script disconnected unexpectedly",
            )
            .hint("if the script is meant to end the connection, set expect_disconnect = true")),
            ExitStatus::Disconnected => Ok(()),
            ExitStatus::Code(code) => {
                let result = script::check_exit(code, &options.valid_exit_codes);
                self.clean(&uploaded).await?;
                result
            }
        }
    }

    async fn upload(&self, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let meta = FileMeta { size: bytes.len() as u64, mode };
        let mut source = bytes;
        self.link
            .upload(path, &mut source, meta)
            .await
            .map_err(|error| error.context("Error uploading script"))
    }

    async fn clean(&self, paths: &[String]) -> Result<()> {
        if self.options.skip_clean {
            return Ok(());
        }
        let paths: Vec<_> = paths.iter().map(|path| quote(path)).collect();
        let command = RemoteCommand::new(format!("rm -f {}", paths.join(" ")));
        let output = UiOutput::new(self.ctx.ui.clone());
        match self.link.exec(&command, &output).await? {
            ExitStatus::Code(0) => Ok(()),
            ExitStatus::Disconnected if self.options.expect_disconnect => Ok(()),
            _ => Err(Error::new("Error removing the temporary script from the machine")),
        }
    }
}
