//! `ingot inspect`

mod companion;
mod legacy;

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::process::ExitCode;

use ingot_engine::{Project, ProjectOptions};
use ingot_sdk::{PluginSet, Ui};
use ingot_template::Build;
use ingot_template::steps::Step;
use ingot_ui::{Renderer, UiOptions};

use super::args::InspectArgs;
use ingot_hcl::Diagnostics;
use ingot_hcl::{Value, print};

/// Shows what a template is made of. What comes of evaluating it is shown as far as it goes: a
/// variable without a value does not hide the rest.
pub(super) fn run(args: &InspectArgs, plugins: PluginSet) -> ExitCode {
    let mut diagnostics = Diagnostics::default();
    let renderer =
        Renderer::new(UiOptions { machine_readable: args.machine_readable, ..Default::default() });
    let redactor = renderer.redactor();
    super::logging::start_with(&renderer);
    let ui = Ui::new(renderer);
    let options = ProjectOptions {
        plugins,
        variables: args.variables.0.clone(),
        lenient: true,
        fetch_data: Some(ui.clone()),
        ..Default::default()
    };
    let mut project = Project::load(&args.template, &options, &mut diagnostics);
    if let Some(template) = &project.template.legacy {
        super::report(&ui, &diagnostics, &project.sources, std::io::stdout().is_terminal());
        return legacy::show(template, &ui);
    }
    project.evaluate(&options, &mut diagnostics);
    project.secrets().hide_in(&ui);
    redactor.keep(project.public_names());
    super::report(&ui, &diagnostics, &project.sources, std::io::stdout().is_terminal());
    if !project.sound {
        return ExitCode::FAILURE;
    }
    ui.say("Packer Inspect: HCL2 mode\n");
    ui.say(values(&project));
    ui.say(builds(&project.builds));
    if !project.companion.is_empty() {
        ui.say(companion::text(&project.companion));
    }
    ExitCode::SUCCESS
}

fn values(project: &Project) -> String {
    let mut text = String::from("> input-variables:\n\n");
    let list = |name: &str, text: &mut String| {
        let values = project.names.get(name).and_then(Value::as_entries);
        for (key, value) in values.into_iter().flatten() {
            let _ = writeln!(text, "{name}.{key}: {}", print::quoted(value));
        }
    };
    list("var", &mut text);
    text.push_str("\n> local-variables:\n\n");
    list("local", &mut text);
    text
}

fn builds(builds: &[Build]) -> String {
    let mut text = String::from("> builds:\n");
    let whole = builds.iter().filter(|build| !build.broken);
    for (index, build) in whole.enumerate() {
        show(&mut text, index, build);
    }
    text
}

fn show(text: &mut String, index: usize, build: &Build) {
    let name = build.name.clone().unwrap_or_else(|| format!("<unnamed build {index}>"));
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!("\n  > {name}:"));
    if let Some(description) = build.description.as_ref().filter(|text| !text.is_empty()) {
        line(format!("\n  > Description: {description}"));
    }
    line("\n    sources:".into());
    if build.sources.is_empty() {
        line("\n      <no source>".into());
    }
    for used in &build.sources {
        line(format!("\n      {}", used.id()));
    }
    line("\n    provisioners:\n".into());
    if build.steps.provisioners.is_empty() {
        line("      <no provisioner>".into());
    }
    for step in &build.steps.provisioners {
        line(format!("      {}", step_name(step)));
    }
    line("\n    post-processors:".into());
    if build.steps.post_processors.is_empty() {
        line("\n      <no post-processor>".into());
    }
    for (position, chain) in build.steps.post_processors.iter().enumerate() {
        line(format!("\n      {position}:"));
        for step in chain {
            line(format!("        {}", step_name(step)));
        }
    }
}

fn step_name(step: &Step) -> String {
    let ty = step.block.label(0);
    match step.name.as_deref() {
        Some(name) if !name.is_empty() => format!("{ty}.{name}"),
        _ => ty.to_owned(),
    }
}
