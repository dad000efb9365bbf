//! The subcommands.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use ingot_hcl::SourceMap;
use ingot_sdk::{PluginSet, Ui};
use ingot_ui::{Renderer, UiOptions};

use super::installed::{installed, removed};
use super::lines::Lines;
use super::{describe, install, required};
use crate::args::{UnusedSelection, UnusedVariables};
use crate::output::diagnostic_of;

#[derive(Debug, Args)]
pub(crate) struct PluginsArgs {
    #[command(subcommand)]
    command: PluginsCommand,
    /// Print machine-readable output
    #[arg(long, global = true)]
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
    /// List the plugins that a template requires, and the installed programs that match
    Required(RequiredArgs),
    /// Remove a plugin: all versions, those that a constraint allows, or one program
    Remove {
        /// The plugin, such as github.com/hashicorp/ansible, or the absolute path of its program
        plugin: String,
        /// The versions, as a constraint such as '< 1.1'
        versions: Option<String>,
    },
    /// Show what installed plugins are and what they have
    Describe(describe::DescribeArgs),
}

#[derive(Debug, Args)]
struct RequiredArgs {
    /// The template: a directory or a file
    template: PathBuf,
    #[command(flatten)]
    selection: UnusedSelection,
    #[command(flatten)]
    variables: UnusedVariables,
}

impl PluginsArgs {
    /// Whether the command shows plugins, rather than install or remove them.
    pub(crate) fn lists(&self) -> bool {
        match self.command {
            PluginsCommand::Install(_) | PluginsCommand::Remove { .. } => false,
            PluginsCommand::Installed { .. }
            | PluginsCommand::Required(_)
            | PluginsCommand::Describe(_) => true,
        }
    }
}

/// Runs `ingot plugins`.
pub(crate) fn run(args: &PluginsArgs, built_in: PluginSet) -> ExitCode {
    let options = UiOptions { machine_readable: args.machine_readable, ..UiOptions::default() };
    let renderer = Renderer::new(options);
    crate::logging::start_with(&renderer);
    let ui = Ui::new(renderer);
    let lines = Lines { ui: &ui, machine_readable: args.machine_readable };
    let done = match &args.command {
        PluginsCommand::Install(args) => install::run(args, &ui),
        PluginsCommand::Installed { .. } => installed(lines),
        PluginsCommand::Required(args) => return required::run(&args.template, built_in, lines),
        PluginsCommand::Remove { plugin, versions } => removed(plugin, versions.as_deref(), lines),
        PluginsCommand::Describe(args) => describe::run(args, &built_in),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let diagnostic = diagnostic_of(&error);
            let color = std::io::stdout().is_terminal();
            crate::report(&ui, &diagnostic.into(), &SourceMap::default(), color);
            ExitCode::FAILURE
        }
    }
}
