//! `provisioner "windows-shell"`

use std::sync::Arc;

use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{
    Communicator, Component, ConfigError, ConfigErrors, Decoded, Effect, Error, Facts,
    GeneratedData, PrepareContext, Prepared, Provision, Result, RunContext, async_trait, script,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::remote_script::{Start, Upload};
use crate::windows_script::WindowsScript;

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Options {
    #[serde(flatten)]
    script: WindowsScript,
    /// How a variable is written, with two `%s` for name and value; `set "%s=%s" && `.
    env_var_format: Option<String>,
    /// The command line; `{{ .Vars }}` and `{{ .Path }}` are filled in. `{{.Vars}}"{{.Path}}"`.
    #[schemars(extend("rendered_late" = true))]
    execute_command: Option<String>,
    /// The batch file on the machine; `c:/Windows/Temp/script.bat`.
    remote_path: Option<String>,
}

/// `provisioner "windows-shell"`
pub(crate) struct WindowsShellProvisioner;

/// Runs batch files on the machine.
pub(crate) struct WindowsShell {
    options: Options,
}

impl Component for WindowsShellProvisioner {
    const NAME: &'static str = "windows-shell";
    type Options = Options;
    type Ready = WindowsShell;

    fn facts(&self) -> Facts {
        Facts::of_effect(Effect::Scripts { named_in: None })
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<WindowsShell>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let variables = options.script.check(&mut errors);
        // The variables are set on a command line, which ends where a line ends.
        if let Some((name, _)) = variables.iter().find(|(_, value)| value.contains('\n')) {
            let own = options.script.env.contains_key(name);
            let option = if own { "env" } else { "environment_vars" };
            let message = format!("the value of {name} has more than one line");
            errors.push(ConfigError::on(option, message).hint(
                "cmd cannot set such a variable; write the value to a file, or use powershell",
            ));
        }
        let command = options.execute_command.as_deref().unwrap_or_default();
        if let Err(error) = Interpolation::new(ctx).check(command) {
            errors.push(ConfigError::on("execute_command", error.to_string()));
        }
        errors.into_result(Prepared::new(WindowsShell { options }))
    }
}

#[async_trait]
impl Provision for WindowsShell {
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()> {
        ctx.ui.say("Provisioning with windows-shell...");
        let options = &self.options;
        let given = |option: &Option<String>, default: &str| {
            let given = option.clone().filter(|text| !text.is_empty());
            given.unwrap_or_else(|| default.to_owned())
        };
        let variables = options.script.variables(ctx, data)?;
        let format = given(&options.env_var_format, "set \"%s=%s\" && ");
        let mut names = json!(data);
        // There is nothing to escape with in quotes: cmd takes all but `%` and `"` as it is.
        names["Vars"] = script::assignments_with(&variables, &format, str::to_owned).into();
        let path = given(&options.remote_path, "c:/Windows/Temp/script.bat");
        names["Path"] = path.as_str().into();
        let template = given(&options.execute_command, "{{.Vars}}\"{{.Path}}\"");
        let command = ctx
            .prepare
            .render(&template, &names)
            .map_err(|error| Error::new(format!("execute_command: {error}")))?;

        let run = async |label: &str, bytes: &[u8]| -> Result<()> {
            ctx.ui.say(format!("Provisioning with shell script: {label}"));
            let file = Upload { path: &path, bytes, mode: 0o700 };
            let limit = options.script.start_retry_timeout;
            let start = Start { ctx, link: &*communicator, limit, removes: false };
            options.script.check_exit(start.run(&[file], &command).await?.status)
        };
        if !options.script.inline.is_empty() {
            let mut text = options.script.inline.join("\n");
            text.push('\n');
            run("inline", text.as_bytes()).await?;
        }
        for path in options.script.files() {
            let bytes = script::read(ctx, path).await?;
            run(path, &bytes).await?;
        }
        Ok(())
    }
}
