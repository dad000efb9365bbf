//! `ingot inspect`

use std::io::IsTerminal;
use std::process::ExitCode;

use ingot_sdk::Ui;

use super::args::InspectArgs;
use crate::engine::{Project, ProjectOptions};
use crate::syntax::Diagnostics;
use crate::template::{Template, Value, print};
use crate::ui::{Renderer, UiOptions};

/// Shows what a template is made of.
pub(super) fn run(args: &InspectArgs) -> ExitCode {
    let mut diagnostics = Diagnostics::default();
    let options = ProjectOptions { variables: args.variables.0.clone(), ..Default::default() };
    let project = Project::open(&args.template, &options, &mut diagnostics);
    super::show(&diagnostics, &project.sources, std::io::stderr().is_terminal());
    // A variable without a value is no reason not to show the rest.
    let readable = !project.names.is_empty();
    if !readable {
        return ExitCode::FAILURE;
    }
    let ui = Ui::new(Renderer::new(UiOptions {
        machine_readable: args.machine_readable,
        ..Default::default()
    }));
    let mut text = String::from("Packer Inspect: HCL2 mode\n\n");
    for (title, name) in [("input-variables", "var"), ("local-variables", "local")] {
        text.push_str(&format!("> {title}:\n\n"));
        let values = project.names.get(name).and_then(Value::as_entries);
        for (key, value) in values.into_iter().flatten() {
            text.push_str(&format!("{name}.{key}: {}\n", print::quoted(value)));
        }
        text.push('\n');
    }
    text.push_str("> builds:\n");
    builds(&project.template, &mut text);
    ui.say(text);
    if diagnostics.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn builds(template: &Template, text: &mut String) {
    for (index, build) in template.builds.iter().enumerate() {
        let name = build.name.clone().unwrap_or_else(|| format!("<unnamed build {index}>"));
        text.push_str(&format!("\n  > {name}:\n"));
        if let Some(description) = &build.description {
            text.push_str(&format!("\n  > Description: {description}\n"));
        }
        text.push_str("\n    sources:\n\n");
        for used in &build.sources {
            let name = used.local_name.as_ref().unwrap_or(&used.name);
            text.push_str(&format!("      {}.{name}\n", used.ty));
        }
        text.push_str("\n    provisioners:\n\n");
        for block in &build.provisioners {
            text.push_str(&format!("      {}\n", block.label(0)));
        }
        if build.provisioners.is_empty() {
            text.push_str("      <no provisioner>\n");
        }
        text.push_str("\n    post-processors:\n\n");
        for (position, chain) in build.post_processors.iter().enumerate() {
            text.push_str(&format!("      {position}:\n"));
            for block in chain {
                text.push_str(&format!("        {}\n", block.label(0)));
            }
        }
        if build.post_processors.is_empty() {
            text.push_str("      <no post-processor>\n");
        }
    }
}
