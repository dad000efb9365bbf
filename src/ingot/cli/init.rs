//! `ingot init`

use std::io::IsTerminal;
use std::process::ExitCode;

use ingot_sdk::Ui;

use super::args::InitArgs;
use crate::builtin::plugins;
use crate::engine::{Project, ProjectOptions};
use crate::ui::{Renderer, UiOptions};
use ingot_hcl::{Diagnostic, Diagnostics};

/// Installs the plugins that a template requires and that are not there: 0 if all are there then,
/// 1 if not. What Ingot has built in needs no installing.
pub(super) fn run(args: &InitArgs) -> ExitCode {
    let mut diagnostics = Diagnostics::default();
    let options = ProjectOptions {
        plugins: plugins(),
        variables: args.variables.0.clone(),
        syntax_only: true,
        ..Default::default()
    };
    let ui_options = UiOptions { machine_readable: args.machine_readable, ..UiOptions::default() };
    let renderer = Renderer::new(ui_options);
    super::logging::start(renderer.redactor());
    let ui = Ui::new(renderer);
    let mut project = Project::load(&args.template, &options, &mut diagnostics);
    project.evaluate(&options, &mut diagnostics);
    if project.template.legacy.is_some() {
        diagnostics.push(no_requirements());
    }
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

/// The error of a legacy JSON template.
pub(super) fn no_requirements() -> Diagnostic {
    Diagnostic::error("a JSON template cannot say which plugins it requires").help(
        "install them with `ingot plugins install`, or convert the template: ingot hcl2_upgrade",
    )
}

#[cfg(feature = "plugin-host")]
use super::plugins::install_required as install;

/// Without hosted plugins what is not built in cannot be had.
#[cfg(not(feature = "plugin-host"))]
fn install(_args: &InitArgs, project: &Project, _ui: &Ui, diagnostics: &mut Diagnostics) {
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
