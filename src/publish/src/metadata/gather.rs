//! The metadata of a build, put together.

use std::collections::BTreeSet;
use std::path::Path;

use ingot_engine::graph::Node;
use ingot_registry::api::{Build, BuildMetadata, JsonText};
use ingot_registry::settings::variable;
use ingot_sdk::PluginSet;
use ingot_sdk::interpolate::COMPATIBLE_PACKER_VERSION;
use ingot_sdk::plugin_set::plugin_name;
use serde_json::{Value, json};

use super::{ci, machine, vcs};

/// How long the published reason of a failed build may be, in characters.
const REASON: usize = 4000;

/// The options of `build` that are published. Values of variables are not: they may be secrets.
#[derive(Debug, Clone, Default)]
pub struct CommandOptions {
    /// `-debug`
    pub debug: bool,
    /// `-force`
    pub force: bool,
    /// `-only`
    pub only: Vec<String>,
    /// `-except`
    pub except: Vec<String>,
    /// The files of `-var-file`
    pub var_files: Vec<String>,
    /// The names of `-var`
    pub vars: Vec<String>,
    /// The template
    pub path: String,
    /// `-skip-enforcement`, which is not told.
    pub skip_enforcement: bool,
    /// The channel that the family assigns the version to once it is built and tested.
    pub promote: Option<String>,
}

/// The name of the field with the channel that a family assigns.
const PROMOTE: &str = "promote";

/// Whether the run of a family that made a build was to assign its version to `channel`.
pub fn meant_for(build: &Build, channel: &str) -> bool {
    let packer = build.metadata.as_ref().and_then(|metadata| metadata.packer.as_ref());
    packer.is_some_and(|packer| packer.value()[PROMOTE] == channel)
}

/// What all builds of a run have in common.
#[derive(Debug)]
pub(crate) struct Metadata {
    options: Value,
    machine: Value,
    vcs: Option<JsonText>,
    cicd: Option<JsonText>,
    promote: Option<String>,
    /// The commit that the template is at.
    pub git_sha: Option<String>,
    /// Why a repository that is there cannot be read.
    pub unreadable: Option<String>,
}

/// Packer's form of a list: null for none.
fn list(items: &[String]) -> Value {
    match items {
        [] => Value::Null,
        items => json!(items),
    }
}

impl Metadata {
    /// Looks around; `template_dir` is where the template is.
    pub(crate) fn gather(options: &CommandOptions, template_dir: &Path) -> Self {
        let (vcs, sha) = (vcs::about(Path::new(".")), vcs::sha(template_dir));
        let reason = |unknown: Option<&vcs::Unknown>| unknown?.reason().map(str::to_owned);
        let unreadable = reason(vcs.as_ref().err()).or_else(|| reason(sha.as_ref().err()));
        Metadata {
            options: json!({
                "debug": options.debug,
                "force": options.force,
                "only": list(&options.only),
                "except": list(&options.except),
                "var-files": list(&options.var_files),
                "vars": list(&options.vars),
                "path": options.path,
            }),
            machine: machine::about(),
            vcs: vcs.ok().map(JsonText::from),
            cicd: ci::about(&variable).map(JsonText::from),
            promote: options.promote.clone(),
            git_sha: sha.ok(),
            unreadable,
        }
    }

    /// The metadata of one build.
    pub(crate) fn of(&self, node: &Node, plugins: &PluginSet) -> BuildMetadata {
        self.with(self.about_packer(node, plugins))
    }

    fn with(&self, packer: Value) -> BuildMetadata {
        let (vcs, cicd) = (self.vcs.clone(), self.cicd.clone());
        BuildMetadata { packer: Some(packer.into()), vcs, cicd }
    }

    fn about_packer(&self, node: &Node, plugins: &PluginSet) -> Value {
        let mut packer = json!({
            // What Packer's own clients take for Packer's version.
            "version": COMPATIBLE_PACKER_VERSION,
            "tool": { "name": "ingot", "version": env!("CARGO_PKG_VERSION") },
            "plugins": used_plugins(node, plugins),
            "options": self.options,
            "os": self.machine,
        });
        if let Some(channel) = &self.promote {
            packer[PROMOTE] = channel.as_str().into();
        }
        packer
    }

    /// The metadata of a failed build, with the reason. The API has no field for that, but takes any
    /// JSON about the tool, so it is there: `packer.error`.
    pub(crate) fn of_failure(&self, node: &Node, plugins: &PluginSet, why: &str) -> BuildMetadata {
        let mut packer = self.about_packer(node, plugins);
        // Registries refuse zero characters, and nobody wants to see others of their kind.
        let shown = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
        packer["error"] = why.chars().filter(shown).take(REASON).collect::<String>().into();
        self.with(packer)
    }
}

/// The plugins a build uses that are not part of Packer itself.
fn used_plugins(node: &Node, plugins: &PluginSet) -> Value {
    let steps = node.provisioners.iter().chain(node.pipelines.iter().flatten());
    let kinds = steps.map(|step| step.block.label(0)).chain([node.ty.as_str()]);
    let used: BTreeSet<(&str, &str)> = kinds.filter_map(|kind| plugins.provider_of(kind)).collect();
    let used = used
        .into_iter()
        .map(|(source, version)| json!({ "name": plugin_name(source), "version": version }));
    let used: Vec<Value> = used.collect();
    match used.is_empty() {
        true => Value::Null,
        false => used.into(),
    }
}
