//! The provisioner, and one run of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ingot_sdk::communicator::{CapturedOutput, unsigned_exit_code};
use ingot_sdk::retry::Retry;
use ingot_sdk::{
    Communicator, Component, ConfigErrors, Decoded, Effect, Error, ExitStatus, Facts,
    GeneratedData, PrepareContext, Prepared, Provision, RemoteCommand, Result, RunContext,
    async_trait, powershell, script,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::options::Options;
use super::scripts;
use crate::elevated;
use crate::remote_script::{
    ScriptOutcome, Start, Upload, announces_removal, pause, start_timeout, unless_away,
};

/// How long removing temporary files is tried on a machine that does not restart.
const CLEANING: Duration = Duration::from_secs(60);
/// What that limit is called where no option sets it.
const CLEANING_LIMIT: &str = "the most that removing files may take";

/// The name of an inline script, where `remote_path` is a directory.
const INLINE: &str = "inline.ps1";

/// `provisioner "powershell"`
pub(crate) struct PowershellProvisioner;

/// Runs PowerShell scripts on the machine.
pub(crate) struct Powershell {
    options: Options,
    paths: RemotePaths,
    /// Whether files of it may be on the machine.
    left: AtomicBool,
}

/// Where files are on the machine. The same in every attempt at a step: the one that succeeds removes
/// what those before it left.
struct RemotePaths {
    script: String,
    variables: String,
    /// The script that runs another one as another user.
    runner: String,
}

impl RemotePaths {
    fn new(options: &Options) -> RemotePaths {
        let id = Uuid::new_v4();
        let path = |given: &Option<String>, name: &str| {
            let given = given.clone().filter(|path| !path.is_empty());
            given.unwrap_or_else(|| format!("c:/Windows/Temp/{name}-{id}.ps1"))
        };
        RemotePaths {
            script: path(&options.remote_path, "script"),
            variables: path(&options.remote_env_var_path, "ingot-ps-env-vars"),
            runner: format!("C:/Windows/Temp/ingot-elevated-{id}.ps1"),
        }
    }

    /// Where the script with this name is: under it where `remote_path` is a directory.
    fn script_called(&self, name: &str) -> String {
        let path = &self.script;
        match path.ends_with(['/', '\\']) {
            true => format!("{path}{name}"),
            false => path.clone(),
        }
    }
}

impl Component for PowershellProvisioner {
    const NAME: &'static str = "powershell";
    type Options = Options;
    type Ready = Powershell;

    fn facts(&self) -> Facts {
        Facts::of_effect(Effect::Scripts { named_in: Some("remote_path") })
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Powershell>, ConfigErrors> {
        options.check(ctx)?;
        let paths = RemotePaths::new(&options);
        Ok(Prepared::new(Powershell { options, paths, left: AtomicBool::new(false) }))
    }
}

#[async_trait]
impl Provision for Powershell {
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()> {
        ctx.ui.say("Provisioning with Powershell...");
        let run = Run::new(self, ctx, &*communicator, data)?;
        if !self.options.script.inline.is_empty() {
            ctx.ui.say("Provisioning with powershell script: inline");
            let text = scripts::inline(
                &self.options.script.inline,
                self.options.debug_mode,
                &run.assignments,
            );
            run.script(INLINE, &powershell::file(&text)).await?;
        }
        for path in self.options.script.files() {
            ctx.ui.say(format!("Provisioning with powershell script: {path}"));
            let bytes = script::read(ctx, path).await?;
            run.script(script::file_name(path), &bytes).await?;
        }
        pause(ctx, self.options.pause_after).await;
        Ok(())
    }

    async fn clean_up(&self, ctx: &RunContext, communicator: &dyn Communicator) -> Result<()> {
        let files = self.files();
        if announces_removal(ctx, &self.left, &files) {
            let run = Run {
                options: &self.options,
                ctx,
                link: communicator,
                names: Value::Null,
                assignments: String::new(),
                paths: &self.paths,
                left: &self.left,
            };
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            run.clean(&files, None, CLEANING, CLEANING_LIMIT).await;
        }
        Ok(())
    }
}

impl Powershell {
    /// The files that it may have put on the machine, and does not leave there.
    fn files(&self) -> Vec<String> {
        let Powershell { options, paths, .. } = self;
        let mut files = Vec::new();
        if !options.skip_clean {
            let inline = (!options.script.inline.is_empty()).then_some(INLINE);
            let scripts = options.script.files().map(|path| script::file_name(path));
            files.extend(inline.into_iter().chain(scripts).map(|name| paths.script_called(name)));
            files.push(paths.variables.clone());
        }
        if options.elevated_user().is_some() {
            files.push(paths.runner.clone());
        }
        files
    }
}

/// One run of the provisioner.
struct Run<'a> {
    options: &'a Options,
    ctx: &'a RunContext,
    link: &'a dyn Communicator,
    /// What `{{ .NAME }}` means in options.
    names: Value,
    /// The environment as PowerShell statements.
    assignments: String,
    paths: &'a RemotePaths,
    left: &'a AtomicBool,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        Powershell { options, paths, left }: &'a Powershell,
        ctx: &'a RunContext,
        link: &'a dyn Communicator,
        data: &GeneratedData,
    ) -> Result<Self> {
        let names = json!(data);
        let variables = options.script.variables(ctx, data)?;
        let format = options.variable_format();
        let assignments = script::assignments_with(&variables, format, powershell::escape);
        Ok(Run { options, ctx, link, names, assignments, paths, left })
    }

    /// Runs one script, and removes what it left behind however it ends.
    pub(super) async fn script(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.paths.script_called(name);
        let mut names = self.names.clone();
        names["Path"] = path.as_str().into();
        names["Vars"] = self.paths.variables.as_str().into();
        let (option, template) = self.options.command();
        let mut command = render(self.ctx, option, &template, &names)?;

        let variables = powershell::file(&self.assignments);
        let mut files = vec![Upload { path: &path, bytes, mode: 0o700 }];
        // Inline scripts hold the variables themselves; only a command that asks for the file
        // needs one more place with secrets.
        if template.contains(".Vars") {
            let path = self.paths.variables.as_str();
            files.push(Upload { path, bytes: &variables, mode: 0o600 });
        }
        let runner_path = self.paths.runner.as_str();
        let runner;
        if let Some(user) = self.options.elevated_user() {
            let user = render(self.ctx, "elevated_user", user, &self.names)?;
            let password = self.options.elevated_password.as_deref().unwrap_or_default();
            let password = render(self.ctx, "elevated_password", password, &self.names)?;
            // A new task each time: that of an earlier attempt may still run.
            let task = format!("ingot-{}", Uuid::new_v4());
            runner = powershell::file(&elevated::script(&task, &command, &user, &password));
            files.push(Upload { path: runner_path, bytes: &runner, mode: 0o600 });
            command = elevated::command(runner_path);
        }

        let limit = self.options.script.start_retry_timeout;
        let start = Start { ctx: self.ctx, link: self.link, limit, removes: false };
        // Of an attempt before, perhaps, whose files could not be removed.
        let before = self.left.swap(true, Ordering::Relaxed);
        let ended = start.run(&files, &command).await;
        let elevated_only = self.options.skip_clean;
        let left: Vec<&str> = files
            .iter()
            .map(|file| file.path)
            .filter(|&path| !elevated_only || path == runner_path)
            .collect();
        if !left.is_empty() && !matches!(ended, Err(Error::Cancelled)) {
            // A machine that could not even start the script is asked once, and one that restarts may
            // take a while to come back: its image must not hold the files.
            let tries = ended.is_err().then_some(1);
            let restarts =
                matches!(ended, Ok(ScriptOutcome { status: ExitStatus::Disconnected, .. }));
            let (limit, option) = match restarts {
                true => (start_timeout(limit).max(CLEANING), "start_retry_timeout"),
                false => (CLEANING, CLEANING_LIMIT),
            };
            if self.clean(&left, tries, limit, option).await {
                self.left.store(before, Ordering::Relaxed);
            }
        }
        self.options.script.check_exit(ended?.status)
    }

    /// Removes files, for `limit` at most, which `option` says. Whether they are gone: that they stay is
    /// a pity, but no reason to fail.
    async fn clean(
        &self,
        paths: &[&str],
        tries: Option<u32>,
        limit: Duration,
        option: &str,
    ) -> bool {
        let line = powershell::command(self.options.program(), &scripts::removal(paths));
        let command = RemoteCommand::new(line);
        let retry = Retry {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(10),
            tries,
            timeout: Some(limit),
        };
        let cleaning = retry.run(&self.ctx.cancel, Error::is_transient, |_| async {
            let output = CapturedOutput::default();
            match self.link.exec(&command, &output).await? {
                ExitStatus::Code(0) => Ok(()),
                // What still has a file open will let go of it.
                ExitStatus::Code(code) => Err(Error::new(format!(
                    "it ended with exit code {}: {}",
                    unsigned_exit_code(code),
                    output.stderr_text().trim()
                ))
                .transient()),
                ExitStatus::Disconnected => Err(Error::new("the connection was lost").transient()),
            }
        });
        let cleaned = unless_away(self.link, limit, option, cleaning).await;
        if let Err(error) = &cleaned {
            self.ctx.ui.message(format!("Could not remove {}: {error}", paths.join(", ")));
        }
        cleaned.is_ok()
    }
}

fn render(ctx: &RunContext, option: &str, template: &str, names: &Value) -> Result<String> {
    ctx.prepare.render(template, names).map_err(|error| Error::new(format!("{option}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_where_the_options_say_or_where_no_other_step_has_its() {
        let options = Options { remote_path: Some("D:/x.ps1".to_owned()), ..Options::default() };
        assert_eq!(RemotePaths::new(&options).script, "D:/x.ps1");
        let (own, other) = (Options::default(), Options::default());
        let (own, other) = (RemotePaths::new(&own), RemotePaths::new(&other));
        assert!(own.script.starts_with("c:/Windows/Temp/script-"), "{}", own.script);
        assert_ne!(own.script, other.script);
        assert_ne!(own.variables, other.variables);
        assert_ne!(own.runner, other.runner);
    }
}
