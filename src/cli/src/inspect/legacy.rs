//! What `inspect` shows of a legacy JSON template. The lines are Packer's.

use std::process::ExitCode;

use ingot_json_template::{Template, Variable};
use ingot_sdk::Ui;

/// What stands for the default of a sensitive variable.
const SENSITIVE: &str = "<sensitive>";

/// Shows a template as it is written: nothing in it is filled in.
pub(super) fn show(template: &Template, ui: &Ui) -> ExitCode {
    ui.say("Packer Inspect: JSON mode");
    if let Some(description) = template.description.as_ref().filter(|one| !one.text.is_empty()) {
        ui.say("Description:\n");
        ui.say(format!("{}\n", description.text));
    }
    variables(template, ui);
    ui.say("");
    builders(template, ui);
    ui.say("");
    ui.say("Provisioners:\n");
    if template.provisioners.is_empty() {
        ui.say("  <No provisioners>");
    }
    for provisioner in &template.provisioners {
        ui.machine("template-provisioner", &[&provisioner.ty.text]);
        ui.say(format!("  {}", provisioner.ty.text));
    }
    ui.say(
        "\nNote: If your build names contain user variables or template\n\
         functions such as 'timestamp', these are processed at build time,\n\
         and therefore only show in their raw form here.",
    );
    ExitCode::SUCCESS
}

fn variables(template: &Template, ui: &Ui) {
    let mut all: Vec<&Variable> = template.variables.iter().collect();
    all.sort_by(|one, other| one.name.text.cmp(&other.name.text));
    if all.is_empty() {
        ui.say("Variables:\n");
        ui.say("  <No variables>");
        return;
    }
    let required: Vec<&&Variable> = all.iter().filter(|one| one.default.is_none()).collect();
    if !required.is_empty() {
        ui.say("Required variables:\n");
        for variable in required {
            let shown = if variable.sensitive { SENSITIVE } else { "" };
            ui.machine("template-variable", &[&variable.name.text, shown, "1"]);
            ui.say(format!("  {}", variable.name.text));
        }
        ui.say("");
    }
    ui.say("Optional variables and their defaults:\n");
    let width = all.iter().map(|variable| variable.name.text.len()).max().unwrap_or(0);
    // Packer hides what has the same default as a sensitive variable, too.
    let sensitive: Vec<&str> = all
        .iter()
        .filter(|variable| variable.sensitive)
        .map(|variable| variable.default.as_ref().map_or("", |text| text.text.as_str()))
        .collect();
    for variable in all {
        let (name, Some(default)) = (&variable.name.text, &variable.default) else { continue };
        let shown = match sensitive.contains(&default.text.as_str()) {
            true => SENSITIVE,
            false => &default.text,
        };
        ui.machine("template-variable", &[name, shown, "0"]);
        ui.say(format!("  {name:width$} = {shown}"));
    }
}

fn builders(template: &Template, ui: &Ui) {
    ui.say("Builders:\n");
    if template.builders.is_empty() {
        ui.say("  <No builders>");
    }
    let mut all: Vec<(&str, &str)> = template
        .builders
        .iter()
        .map(|builder| (builder.label().text.as_str(), builder.ty.text.as_str()))
        .collect();
    all.sort_unstable();
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, ty) in all {
        ui.machine("template-builder", &[name, ty]);
        ui.say(match name == ty {
            true => format!("  {name:width$}"),
            false => format!("  {name:width$} ({ty})"),
        });
    }
}
