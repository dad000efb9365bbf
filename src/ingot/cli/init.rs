//! `ingot init`

use std::io::IsTerminal;
use std::process::ExitCode;

use ingot_sdk::Ui;

use super::args::InitArgs;
use crate::builtin::plugins;
use crate::engine::{Project, ProjectOptions};
use crate::ui::{Renderer, UiOptions};
use ingot_hcl::{Diagnostic, Diagnostics};

/// Checks that the plugins a template requires are there: 0 if they are, 1 if not. What Ingot
/// has built in needs no installing, so there is nothing to do besides.
pub(super) fn run(args: &InitArgs) -> ExitCode {
    let mut diagnostics = Diagnostics::default();
    let options = ProjectOptions {
        plugins: plugins(),
        variables: args.variables.0.clone(),
        syntax_only: true,
        ..Default::default()
    };
    let mut project = Project::load(&args.template, &options, &mut diagnostics);
    project.evaluate(&options, &mut diagnostics);
    for required in &project.template.required_plugins {
        if !project.plugins.provided.contains_key(&required.source) {
            let known: Vec<&str> = project.plugins.provided.keys().map(String::as_str).collect();
            diagnostics.push(
                Diagnostic::error(format!("the plugin `{}` is not here", required.source))
                    .at(required.span)
                    .note(format!("built in: {}", known.join(", ")))
                    .help("plugins that are not built in cannot be used yet"),
            );
        }
    }
    let ui = Ui::new(Renderer::new(UiOptions::default()));
    super::tell(&ui, &diagnostics, &project.sources, std::io::stdout().is_terminal());
    match diagnostics.has_errors() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
