//! `ingot validate`

use std::io::IsTerminal;
use std::process::ExitCode;

use ingot_engine::project::RunFlags;
use ingot_engine::{Project, ProjectOptions, check};
use ingot_sdk::{PluginSet, Ui};
use ingot_ui::ci::CiSystem;
use ingot_ui::{Renderer, UiOptions};

use super::args::ValidateArgs;
use super::{publish, run_report};
use ingot_hcl::Diagnostics;

/// Checks a template: 0 if it is valid, 1 if not.
pub(super) fn run(args: &ValidateArgs, plugins: PluginSet) -> ExitCode {
    let mut diagnostics = Diagnostics::default();
    let renderer =
        Renderer::new(UiOptions { machine_readable: args.machine_readable, ..Default::default() });
    super::logging::start_with(&renderer);
    let redactor = renderer.redactor();
    let ui = Ui::new(renderer);
    let options = ProjectOptions {
        plugins,
        variables: args.variables.0.clone(),
        warn_undeclared: !args.no_warn_undeclared_var,
        syntax_only: args.syntax_only,
        lenient: false,
        releases_only: args.installed.ignore_prerelease_plugins,
        fetch_data: args.evaluate_datasources.then(|| ui.clone()),
        registry_data: None,
        started: None,
    };
    let mut project = Project::load(&args.template, &options, &mut diagnostics);
    project.evaluate(&options, &mut diagnostics);
    let filter = project.filter(&args.selection.only, &args.selection.except);
    let filter = diagnostics.keep(filter).unwrap_or_default();
    project.secrets().hide_in(&ui);
    redactor.keep(project.public_names());
    if !args.syntax_only {
        let flags = RunFlags::default();
        let nodes = check(&project, &filter, &flags, &mut diagnostics);
        publish::check(&project, &nodes, &mut diagnostics);
    }
    super::report(&ui, &diagnostics, &project.sources, std::io::stdout().is_terminal());
    let ci = CiSystem::detect().filter(|_| !args.machine_readable);
    run_report::annotate(ci, &diagnostics, &project.sources, &redactor);
    if diagnostics.has_errors() {
        return ExitCode::FAILURE;
    }
    ui.say(match args.syntax_only {
        true => "Syntax-only check passed. Everything looks okay.",
        false => "The configuration is valid.",
    });
    ExitCode::SUCCESS
}
