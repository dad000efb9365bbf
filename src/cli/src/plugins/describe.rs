//! `ingot plugins describe`

use clap::Args;
use ingot_plugin_host::{ComponentKind, Installation, Program, template_name};
use ingot_sdk::{Error, Result};
use serde_json::json;

use super::installed::{directory, usable};
use crate::answer;

#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// The plugin, by its source or its name; all unless it is given
    plugin: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DescribeArgs) -> Result<()> {
    let wanted = args.plugin.as_deref();
    let fits = |one: &Installation| {
        wanted.is_none_or(|name| one.source == name || one.name == name || one.is_of(name))
    };
    let mut found = usable(&directory()?);
    found.retain(|(one, _)| fits(one));
    if let (Some(name), true) = (wanted, found.is_empty()) {
        return Err(Error::new(format!("the plugin {name} is not installed"))
            .hint("`ingot plugins installed` lists what is"));
    }
    if args.json {
        let plugins: Vec<_> = found.iter().map(|(one, program)| document(one, program)).collect();
        let text = serde_json::to_string_pretty(&plugins);
        answer(&text.map_err(|error| Error::new(error.to_string()))?);
        return Ok(());
    }
    for (one, program) in &found {
        let description = program.description();
        answer(&format!("{} v{}", one.source, one.version));
        answer(&format!("  program:         {}", one.path.display()));
        answer(&format!("  SDK:             {}", description.sdk_version));
        answer(&format!("  protocol:        {}", description.api_version));
        for (kind, title) in KINDS {
            let names = names(one, program, kind);
            if !names.is_empty() {
                answer(&format!("  {:16} {}", format!("{title}:"), names.join(", ")));
            }
        }
    }
    Ok(())
}

const KINDS: [(ComponentKind, &str); 4] = [
    (ComponentKind::Builder, "sources"),
    (ComponentKind::Provisioner, "provisioners"),
    (ComponentKind::PostProcessor, "post-processors"),
    (ComponentKind::DataSource, "data sources"),
];

/// What templates call the components of a kind.
fn names(one: &Installation, program: &Program, kind: ComponentKind) -> Vec<String> {
    let components = program.description().components(kind);
    components.iter().map(|component| template_name(&one.name, component)).collect()
}

fn document(one: &Installation, program: &Program) -> serde_json::Value {
    let description = program.description();
    let components: serde_json::Map<String, serde_json::Value> = KINDS
        .into_iter()
        .map(|(kind, title)| (title.replace([' ', '-'], "_"), json!(names(one, program, kind))))
        .collect();
    json!({
        "source": one.source,
        "version": one.version.to_string(),
        "path": one.path,
        "sdk_version": description.sdk_version,
        "protocol": description.api_version,
        "components": components,
    })
}
