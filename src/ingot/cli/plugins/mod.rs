//! `ingot plugins`: the plugins that are programs of their own.

mod describe;
mod install;
mod required;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use ingot_plugin_host::install::{PluginAddress, remove};
use ingot_plugin_host::{Host, Installation, Program, cache_directory, discovery};
use ingot_sdk::{Error, Result, Ui};
use semver::Version;

use crate::template::version::VersionConstraints;
use crate::ui::{Renderer, UiOptions};
use ingot_hcl::{Diagnostic, SourceMap};

pub(super) use required::install_required;

#[derive(Debug, Args)]
pub(super) struct PluginsArgs {
    #[command(subcommand)]
    command: PluginsCommand,
    /// Print one line per event for programs
    #[arg(long, global = true, default_value_t = false, action = clap::ArgAction::Set, value_parser = super::args::go_bool)]
    machine_readable: bool,
}

#[derive(Debug, Subcommand)]
enum PluginsCommand {
    /// Install a plugin: the newest version, or the newest that a constraint allows
    Install(install::InstallArgs),
    /// List the programs that are installed
    Installed {
        /// Packer takes and ignores them
        #[arg(hide = true)]
        ignored: Vec<String>,
    },
    /// List the plugins that a template requires, and the programs that will do
    Required {
        /// The template: a directory or a file
        template: PathBuf,
    },
    /// Remove a plugin: all versions, those that a constraint allows, or one program
    Remove {
        /// The plugin, such as github.com/hashicorp/ansible, or the absolute path of its program
        plugin: String,
        /// Which versions
        versions: Option<String>,
    },
    /// Show what installed plugins are and what they have
    Describe(describe::DescribeArgs),
}

/// Where the lines of a list go. For programs they are messages, as in Packer.
#[derive(Clone, Copy)]
struct Lines<'a> {
    ui: &'a Ui,
    machine_readable: bool,
}

impl Lines<'_> {
    fn line(self, text: &str) {
        match self.machine_readable {
            true => self.ui.machine("ui", &["message", text]),
            false => self.ui.message(text),
        }
    }
}

/// Runs `ingot plugins`.
pub(super) fn run(args: &PluginsArgs) -> ExitCode {
    let options = UiOptions { machine_readable: args.machine_readable, ..UiOptions::default() };
    let ui = Ui::new(Renderer::new(options));
    let lines = Lines { ui: &ui, machine_readable: args.machine_readable };
    let done = match &args.command {
        PluginsCommand::Install(args) => install::run(args, &ui),
        PluginsCommand::Installed { .. } => installed(lines),
        PluginsCommand::Required { template } => return required::run(template, lines),
        PluginsCommand::Remove { plugin, versions } => removed(plugin, versions.as_deref(), lines),
        PluginsCommand::Describe(args) => describe::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let diagnostic = diagnostic_of(&error);
            let color = std::io::stdout().is_terminal();
            super::tell(&ui, &diagnostic.into(), &SourceMap::default(), color);
            ExitCode::FAILURE
        }
    }
}

/// An error as it is shown.
fn diagnostic_of(error: &Error) -> Diagnostic {
    let diagnostic = Diagnostic::error(error.to_string());
    match error.advice() {
        Some(advice) => diagnostic.help(advice),
        None => diagnostic,
    }
}

/// The plugin directory.
fn directory() -> Result<PathBuf> {
    discovery::plugin_directory().map_err(Error::new)?.ok_or_else(|| {
        Error::new("there is no plugin directory").hint("set PACKER_PLUGIN_PATH or HOME")
    })
}

/// Versions that users ask for.
fn constraints(text: &str) -> Result<VersionConstraints> {
    VersionConstraints::parse(text).map_err(|part| {
        Error::new(format!("malformed constraint: {part}"))
            .hint("write something like \">= 1.2.0, < 2.0.0\" or \"~> 1.2\"")
    })
}

/// A version without its pre-release, which is how constraints look at what is installed.
fn core(version: &Version) -> String {
    format!("{}.{}.{}", version.major, version.minor, version.patch)
}

/// The installed programs that are what they seem, by name and version, as Packer lists them.
fn usable(directory: &Path) -> Vec<(Installation, Program)> {
    let host = Arc::new(Host::new(Vec::new()));
    let cache = cache_directory();
    let mut found = discovery::installations(directory);
    found.sort_by(|a, b| (&a.name, &a.version, &a.source).cmp(&(&b.name, &b.version, &b.source)));
    let open = |one: Installation| match Program::open(&host, &one, cache.as_deref()) {
        Ok(program) => Some((one, program)),
        Err(problem) => {
            tracing::info!(path = %one.path.display(), %problem, "ignoring a plugin");
            None
        }
    };
    found.into_iter().filter_map(open).collect()
}

fn installed(lines: Lines<'_>) -> Result<()> {
    for (one, _) in usable(&directory()?) {
        lines.line(&one.path.display().to_string());
    }
    Ok(())
}

fn removed(plugin: &str, versions: Option<&str>, lines: Lines<'_>) -> Result<()> {
    let directory = directory()?;
    let failed = |path: &Path, error: std::io::Error| {
        Error::new(format!("the plugin {} cannot be removed: {error}", path.display()))
    };
    let path = Path::new(plugin);
    if path.is_absolute() {
        if versions.is_some() {
            return Err(Error::new(
                "a path names one program, so no versions can be given with it",
            ));
        }
        // `..` must not lead out of it.
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let parent = path.parent().map(real).unwrap_or_default();
        if !parent.starts_with(real(&directory)) {
            return Err(Error::new(format!(
                "{plugin} is not below the plugin directory {}",
                directory.display()
            )));
        }
        remove(path).map_err(|error| failed(path, error))?;
        lines.ui.say(plugin);
        return Ok(());
    }
    let address = PluginAddress::parse(plugin)?;
    let allowed = versions.map(constraints).transpose()?;
    let fits = |one: &Installation| {
        let version = core(&one.version);
        one.source == address.source()
            && allowed.as_ref().is_none_or(|allowed| allowed.allow(&version))
    };
    // Also those that are not what they seem: who removes a plugin wants none of it left.
    let found: Vec<_> = discovery::installations(&directory).into_iter().filter(fits).collect();
    if found.is_empty() {
        let wanted = versions.map(|versions| format!(" {versions}")).unwrap_or_default();
        return Err(Error::new(format!(
            "No installed plugin found matching the plugin constraints {plugin}{wanted}"
        )));
    }
    let mut left = None;
    for one in found {
        match remove(&one.path) {
            Ok(()) => lines.line(&one.path.display().to_string()),
            Err(error) => left = Some(failed(&one.path, error)),
        }
    }
    left.map_or(Ok(()), Err)
}
