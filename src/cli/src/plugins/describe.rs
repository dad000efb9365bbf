//! `ingot plugins describe`

use clap::Args;
use ingot_plugin_host::{ComponentKind, Installation, Program, template_name};
use ingot_sdk::plugin_set::plugin_name;
use ingot_sdk::{Error, PluginSet, Result};
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

/// Where the options are of what is built in.
const REFERENCE: &str = "https://github.com/ingot-build/ingot/tree/main/docs/reference";

pub(super) fn run(args: &DescribeArgs, set: &PluginSet) -> Result<()> {
    let wanted = args.plugin.as_deref();
    let built_in = wanted.and_then(|name| BuiltIn::find(set, name));
    let fits = |one: &Installation| {
        wanted.is_none_or(|name| one.source == name || one.name == name || one.is_of(name))
    };
    let mut found = usable(&directory()?);
    found.retain(|(one, _)| fits(one));
    if let (Some(name), true, None) = (wanted, found.is_empty(), &built_in) {
        return Err(Error::new(format!("the plugin {name} is not installed"))
            .hint("`ingot plugins installed` lists what is"));
    }
    if args.json {
        let installed = found.iter().map(|(one, program)| document(one, program));
        let plugins: Vec<_> = built_in.iter().map(BuiltIn::document).chain(installed).collect();
        let text = serde_json::to_string_pretty(&plugins);
        answer(&text.map_err(|error| Error::new(error.to_string()))?);
        return Ok(());
    }
    if let Some(built_in) = &built_in {
        answer(&format!("{}, built in", built_in.title()));
        built_in.components.iter().for_each(|(title, names)| list(title, names));
        answer(&format!("  options:         {REFERENCE}"));
    }
    for (one, program) in &found {
        let description = program.description();
        answer(&format!("{} v{}", one.source, one.version));
        answer(&format!("  program:         {}", one.path.display()));
        answer(&format!("  SDK:             {}", description.sdk_version));
        answer(&format!("  protocol:        {}", description.api_version));
        for (kind, title) in KINDS {
            list(title, &names(one, program, kind));
        }
    }
    Ok(())
}

/// Shows the names of the components of a kind, if there are any.
fn list<S: AsRef<str>>(title: &str, names: &[S]) {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if !names.is_empty() {
        answer(&format!("  {:16} {}", format!("{title}:"), names.join(", ")));
    }
}

const KINDS: [(ComponentKind, &str); 4] = [
    (ComponentKind::Builder, "sources"),
    (ComponentKind::Provisioner, "provisioners"),
    (ComponentKind::PostProcessor, "post-processors"),
    (ComponentKind::DataSource, "data sources"),
];

/// What the program itself has of a plugin.
struct BuiltIn<'a> {
    /// What was asked for.
    name: &'a str,
    /// The source and version of the plugin that it stands for; none for a component of no plugin, such
    /// as `shell`.
    plugin: Option<(&'a str, &'a str)>,
    /// The names of its components, by the titles of their kinds.
    components: Vec<(&'static str, Vec<&'a str>)>,
}

impl<'a> BuiltIn<'a> {
    /// The plugin of this source or name, or of a component of this name; none if that is not built in.
    fn find(set: &'a PluginSet, name: &'a str) -> Option<Self> {
        let components = KINDS.map(|(kind, title)| (title, components(set, kind)));
        let is_component = components.iter().any(|(_, names)| names.contains(&name));
        let mut provided = set.provided.iter();
        let plugin = provided.find(|(source, _)| *source == name || plugin_name(source) == name);
        let plugin = match plugin {
            Some((source, version)) => Some((source.as_str(), version.as_str())),
            None if is_component => set.provider_of(name),
            None => return None,
        };
        let is_its = |component: &&str| match plugin {
            Some(_) => set.provider_of(component) == plugin,
            None => *component == name,
        };
        let own = |(title, names): (&'static str, Vec<&'a str>)| {
            let names: Vec<&'a str> = names.into_iter().filter(is_its).collect();
            (title, names)
        };
        Some(BuiltIn { name, plugin, components: components.into_iter().map(own).collect() })
    }

    fn title(&self) -> String {
        match self.plugin {
            Some((source, version)) => format!("{source} v{version}"),
            None => self.name.to_owned(),
        }
    }

    fn document(&self) -> serde_json::Value {
        let components = self.components.iter();
        let components = components.map(|(title, names)| (key(title), json!(names)));
        let components: serde_json::Map<String, serde_json::Value> = components.collect();
        json!({
            "source": self.plugin.map(|(source, _)| source),
            "version": self.plugin.map(|(_, version)| version),
            "built_in": true,
            "path": null,
            "sdk_version": null,
            "protocol": null,
            "components": components,
        })
    }
}

/// The names of the components of a kind.
fn components(set: &PluginSet, kind: ComponentKind) -> Vec<&str> {
    match kind {
        ComponentKind::Builder => set.builders.keys().map(String::as_str).collect(),
        ComponentKind::Provisioner => set.provisioners.keys().map(String::as_str).collect(),
        ComponentKind::PostProcessor => set.post_processors.keys().map(String::as_str).collect(),
        ComponentKind::DataSource => set.data_sources.keys().map(String::as_str).collect(),
    }
}

/// What JSON calls a kind of this title.
fn key(title: &str) -> String {
    title.replace([' ', '-'], "_")
}

/// What templates call the components of a kind.
fn names(one: &Installation, program: &Program, kind: ComponentKind) -> Vec<String> {
    let components = program.description().components(kind);
    components.iter().map(|component| template_name(&one.name, component)).collect()
}

fn document(one: &Installation, program: &Program) -> serde_json::Value {
    let description = program.description();
    let components: serde_json::Map<String, serde_json::Value> = KINDS
        .into_iter()
        .map(|(kind, title)| (key(title), json!(names(one, program, kind))))
        .collect();
    json!({
        "source": one.source,
        "version": one.version.to_string(),
        "built_in": false,
        "path": one.path,
        "sdk_version": description.sdk_version,
        "protocol": description.api_version,
        "components": components,
    })
}
