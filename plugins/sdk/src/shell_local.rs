//! Scripts on this machine: what the `shell-local` provisioner and post-processor share.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::communicator::UiOutput;
use crate::output_file::UNFINISHED_FILE;
use crate::process::{self, LocalCommand};
use crate::{
    ConfigError, ConfigErrors, Context, Error, ExitStatus, GeneratedData, JournalEntry, Platform,
    Resource, Result, RunContext, script, temporary,
};

/// The options of `shell-local`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct ShellLocalOptions {
    /// One command line to run.
    command: Option<String>,
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
    /// Variables for the script, as `NAME=value`.
    #[serde(default)]
    environment_vars: Vec<String>,
    /// Variables for the script.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// How a variable is written in `{{ .Vars }}`, with two `%s` for name and value.
    env_var_format: Option<String>,
    /// The program and arguments to run a script with; `{{ .Vars }}` and `{{ .Script }}` stand
    /// for the environment and the script's path.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    execute_command: Vec<String>,
    /// The ending of the temporary file that an inline script becomes, with or without its dot.
    tempfile_extension: Option<String>,
    /// Run only on these systems, such as `linux`.
    #[serde(default)]
    only_on: Vec<String>,
    /// Exit codes that mean success.
    #[serde(default)]
    valid_exit_codes: Vec<i64>,
    /// For bash on Windows. Not supported.
    #[serde(default)]
    use_linux_pathing: bool,
}

/// Scripts that can run.
#[derive(Debug)]
pub struct ShellLocal {
    options: ShellLocalOptions,
    variables: BTreeMap<String, String>,
}

impl ShellLocalOptions {
    /// Takes an `execute_command` of one part for a line for the shell: the post-processor, unlike
    /// the provisioner, once took only that, and templates still rely on it.
    pub fn with_shell_line(mut self) -> Self {
        if let [line] = self.execute_command.as_slice() {
            self.execute_command = vec!["sh".to_owned(), "-c".to_owned(), line.clone()];
        }
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn prepare(self) -> Result<ShellLocal, ConfigErrors> {
        let options = self;
        let mut errors = ConfigErrors::default();
        script::check_sources(
            &options.inline,
            options.script.as_deref(),
            &options.scripts,
            options.command.as_deref(),
            &mut errors,
        );
        let variables = script::environment(&options.environment_vars, &options.env, &mut errors);
        if options.use_linux_pathing {
            errors.push(
                ConfigError::on("use_linux_pathing", "this is for the Linux subsystem of Windows")
                    .hint("leave it out: paths are Linux's already"),
            );
        }
        for system in &options.only_on {
            let known = ["linux", "darwin", "windows", "freebsd", "openbsd", "solaris"];
            if !known.contains(&system.as_str()) {
                errors.push(
                    ConfigError::on("only_on", format!("`{system}` is not a system"))
                        .hint(format!("systems are {}", known.join(", "))),
                );
            }
        }
        errors.into_result(ShellLocal { options, variables })
    }
}

impl ShellLocal {
    /// Runs what the options say.
    ///
    /// # Errors
    /// A script failed.
    pub async fn run(&self, ctx: &RunContext, data: &GeneratedData) -> Result<()> {
        let system = Platform::current().os;
        if !self.options.only_on.is_empty()
            && !self.options.only_on.iter().any(|name| name == system)
        {
            ctx.ui.say(format!("Skipping shell-local due to runtime OS: it is not for {system}"));
            return Ok(());
        }
        let inline = match (&self.options.command, self.options.inline.is_empty()) {
            (Some(command), _) => Some(vec![command.clone()]),
            (None, false) => Some(self.options.inline.clone()),
            (None, true) => None,
        };
        if let Some(lines) = inline {
            // Removed as it goes out of scope, or by the next run.
            let script = self.temporary(ctx, &lines)?;
            return self.run_file(ctx, &script.path.to_string_lossy(), data).await;
        }
        for path in self.options.script.iter().chain(&self.options.scripts) {
            self.run_file(ctx, path, data).await?;
        }
        Ok(())
    }

    fn temporary(&self, ctx: &RunContext, lines: &[String]) -> Result<InlineScript> {
        // Unlike the shell provisioner, this one puts its first line before one of the script's
        // own, as Packer does.
        let shebang = self.options.inline_shebang.as_deref().filter(|line| !line.is_empty());
        let shebang = shebang.unwrap_or(script::DEFAULT_SHEBANG);
        let text = script::inline_text(lines, Some(shebang));
        let extension = match self.options.tempfile_extension.as_deref().unwrap_or_default() {
            "" => String::new(),
            extension => format!(".{}", extension.trim_start_matches('.')),
        };
        let name = format!("ingot-shell{}{extension}", uuid::Uuid::new_v4().simple());
        let path = temporary::directory_of_text().join(name);
        let resource = Resource::at(UNFINISHED_FILE, &path);
        let entry = Some(JournalEntry::open(&ctx.journal, &resource)?);
        let script = InlineScript { path, entry };
        process::while_nothing_starts(|| {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o700).open(&script.path)?;
            file.write_all(text.as_bytes())
        })
        .with_context(|| format!("writing the inline script {}", script.path.display()))
        .map_err(temporary::explain)?;
        Ok(script)
    }

    async fn run_file(&self, ctx: &RunContext, path: &str, data: &GeneratedData) -> Result<()> {
        let mut variables = self.variables.clone();
        script::build_variables(ctx, data, &mut variables);
        // Only scripts on this machine have it, as with Packer.
        let run = variables.entry("PACKER_RUN_UUID".to_owned());
        run.or_insert_with(|| ctx.prepare.run_uuid.clone());
        let format = self.options.env_var_format.as_deref().unwrap_or("%s='%s' ");
        let mut names = json!(data);
        names["Vars"] = script::assignments(&variables, format).into();
        // A bare name would be looked for in PATH.
        let absolute = std::path::absolute(path).with_context(|| format!("finding {path}"))?;
        names["Script"] = match absolute.to_str() {
            Some(absolute) => absolute.into(),
            // The current directory is what is no text.
            None => format!("./{path}").into(),
        };
        names["Command"] = names["Script"].clone();
        // The environment has the variables already. On the command line, where Packer also puts them,
        // all users of this machine would see them; so only how the template itself writes them is there.
        let line = match self.options.env_var_format {
            None => "{{.Script}}",
            Some(_) => "{{.Vars}} {{.Script}}",
        };
        let default = ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
        let template = match self.options.execute_command.is_empty() {
            true => &default,
            false => &self.options.execute_command,
        };
        let argv = template
            .iter()
            .map(|part| ctx.prepare.render(part, &names))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::new(format!("execute_command: {error}")))?;
        ctx.ui.say(format!("Running local shell script: {path}"));
        let command = LocalCommand { argv, env: variables, dir: None, outlives: false };
        let output = UiOutput::new(ctx.ui.clone());
        let status = command.run(ctx, &output).await?;
        output.finish();
        match status {
            ExitStatus::Code(code) => script::check_exit(code, &self.options.valid_exit_codes),
            ExitStatus::Disconnected => Ok(()),
        }
    }
}

/// An inline script in a file of its own, which may hold secrets.
struct InlineScript {
    path: PathBuf,
    entry: Option<JournalEntry>,
}

impl Drop for InlineScript {
    fn drop(&mut self) {
        let removed = std::fs::remove_file(&self.path);
        let gone = removed.err().is_none_or(|error| error.kind() == std::io::ErrorKind::NotFound);
        if let (Some(entry), true) = (self.entry.take(), gone) {
            entry.done();
        }
    }
}
