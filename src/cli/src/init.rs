//! `ingot init`

use std::io::IsTerminal;
use std::process::ExitCode;

use ingot_sdk::{PluginSet, Ui};
use ingot_ui::{Renderer, UiOptions};

use super::args::InitArgs;
use super::requirements;
use ingot_hcl::Diagnostics;

/// Installs the plugins that a template requires and that are not there: 0 if all are there then,
/// 1 if not. What Ingot has built in needs no installing.
pub(super) fn run(args: &InitArgs, plugins: PluginSet) -> ExitCode {
    let mut diagnostics = Diagnostics::default();
    let ui_options = UiOptions { machine_readable: args.machine_readable, ..UiOptions::default() };
    let renderer = Renderer::new(ui_options);
    super::logging::start_with(&renderer);
    let ui = Ui::new(renderer);
    let project = requirements::read(&args.template, plugins, &args.variables.0, &mut diagnostics);
    if !diagnostics.has_errors() {
        if project.template.required_plugins.is_empty() {
            ui.message(
                "This template requires no plugins: it has no `required_plugins` block in a \
                 `packer` block.",
            );
        }
        install(args, &project, &ui, &mut diagnostics);
    }
    super::report(&ui, &diagnostics, &project.sources, std::io::stdout().is_terminal());
    match diagnostics.has_errors() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

#[cfg(feature = "plugin-host")]
use super::plugins::install_required as install;

/// Without hosted plugins what is not built in cannot be had.
#[cfg(not(feature = "plugin-host"))]
fn install(
    _args: &InitArgs,
    project: &ingot_engine::Project,
    _ui: &Ui,
    diagnostics: &mut Diagnostics,
) {
    for required in &project.template.required_plugins {
        if !project.plugins.provided.contains_key(&required.source) {
            let known: Vec<&str> = project.plugins.provided.keys().map(String::as_str).collect();
            diagnostics.push(
                ingot_hcl::Diagnostic::error(format!(
                    "the plugin `{}` is not here",
                    required.source
                ))
                .at(required.span)
                .note(format!("built in: {}", known.join(", ")))
                .help("this Ingot was built without support for other plugins"),
            );
        }
    }
}
