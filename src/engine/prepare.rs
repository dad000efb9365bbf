//! Checks every block of a node against its plugin, offline.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingot_sdk::{Builder, Config, ConfigErrors, GeneratedData, PrepareContext, Prepared, Schema};

use super::project::{Project, RunFlags};
use crate::graph::{self, Filter, Node};
use crate::syntax::ast::Block;
use crate::syntax::diagnostic::{Diagnostic, Diagnostics};
use crate::syntax::source::Span;
use crate::template::builds::Part;
use crate::template::options::{self, Given, Options, from_json};
use crate::template::steps::{POST_PROCESSOR_OPTIONS, PROVISIONER_OPTIONS, Step};
use crate::template::types::Type;
use crate::template::{Scope, Value};

/// What every builder knows when it runs, as `build.NAME`.
const GENERATED: &[&str] = &[
    "ID",
    "Host",
    "Port",
    "User",
    "Password",
    "ConnType",
    "PackerRunUUID",
    "PackerHTTPPort",
    "PackerHTTPIP",
    "PackerHTTPAddr",
    "SSHPublicKey",
    "SSHPrivateKey",
    "WinRMPassword",
];
/// What stands for one of them that the builder did not give; Packer's word.
const NOT_GIVEN: &str = "<unknown>";

/// A node whose blocks are all in order.
pub struct PreparedNode {
    /// The node.
    pub node: Arc<Node>,
    /// Its builder, ready to run.
    pub builder: Box<dyn Builder>,
    /// What its plugins know.
    pub context: Arc<PrepareContext>,
    /// Texts that must never be shown.
    pub secrets: Vec<String>,
}

/// Prepares all that `filter` selects. Those with something wrong are left out; `diagnostics`
/// says what.
pub fn prepare(
    project: &Project,
    filter: &Filter,
    flags: &RunFlags,
    diagnostics: &mut Diagnostics,
) -> Vec<PreparedNode> {
    if !project.readable {
        return Vec::new();
    }
    if project.template.builds.is_empty() && !diagnostics.has_errors() {
        diagnostics.push(
            Diagnostic::error("there is no build block, so there is nothing to build")
                .help("write build { sources = [\"source.TYPE.NAME\"] }"),
        );
    }
    known_plugins(project, diagnostics);
    let nodes = graph::build(&project.template, &project.builds, filter, diagnostics);
    nodes.into_iter().filter_map(|node| prepare_node(project, node, flags, diagnostics)).collect()
}

/// Reports plugins that are not there, whether or not what names them is selected.
fn known_plugins(project: &Project, diagnostics: &mut Diagnostics) {
    let plugins = &project.plugins;
    for build in &project.builds {
        for used in &build.sources {
            let source = project.template.sources.get(&(used.ty.clone(), used.name.clone()));
            if let Some(source) = source {
                find("builder", &used.ty, label_span(source), &plugins.builders, diagnostics);
            }
        }
        for Step { block, .. } in build.provisioners.iter().chain(&build.error_cleanup) {
            let known = &plugins.provisioners;
            find("provisioner", block.label(0), label_span(block), known, diagnostics);
        }
        for Step { block, .. } in build.post_processors.iter().flatten() {
            let known = &plugins.post_processors;
            find("post-processor", block.label(0), label_span(block), known, diagnostics);
        }
    }
}

/// The plugin called `name`.
fn find<'p, T>(
    kind: &str,
    name: &str,
    place: Span,
    known: &'p BTreeMap<String, T>,
    diagnostics: &mut Diagnostics,
) -> Option<&'p T> {
    let found = known.get(name);
    if found.is_none() {
        let names = known.keys().map(String::as_str);
        diagnostics.push(
            Diagnostic::error(format!("no {kind} is called `{name}`")).at(place).suggest_or_list(
                name,
                &format!("{kind}s here"),
                names,
            ),
        );
    }
    found
}

fn prepare_node(
    project: &Project,
    mut node: Node,
    flags: &RunFlags,
    diagnostics: &mut Diagnostics,
) -> Option<PreparedNode> {
    let context = project.prepare_context(&node, flags);
    let mut secrets = Vec::new();
    let plugins = &project.plugins;
    let scope = project.scope();
    let mut check = Check { context: &context, secrets: &mut secrets, diagnostics };

    let mut builder = None;
    if let Some(new) = plugins.builders.get(&node.ty) {
        let mut plugin = new();
        let parts: Vec<&Part> = node.parts.iter().collect();
        let given = Given { parts: &parts, overrides: None, header: node.header };
        let scope = scope.with([source_name(&node)].into());
        let prepared = check.block(given, &plugin.schema(), &[], &scope, |config, context| {
            plugin.prepare(config, context)
        });
        if let Some(prepared) = prepared {
            node.generated = prepared.generated;
            builder = Some(plugin);
        }
    }
    // What a builder that could not be prepared would know cannot be said.
    let build = match builder {
        Some(_) => build_value(&node, None),
        None => Value::unknown(Type::Dynamic),
    };
    let later = scope.with([source_name(&node), ("build".to_owned(), build)].into());
    for step in node.provisioners.iter().chain(&node.error_cleanup) {
        let Some(new) = plugins.provisioners.get(step.block.label(0)) else { continue };
        let mut plugin = new();
        let schema = plugin.schema();
        check.step(step, &node, &schema, PROVISIONER_OPTIONS, &later, |config, context| {
            plugin.prepare(config, context)
        });
    }
    for step in node.pipelines.iter().flatten() {
        let Some(new) = plugins.post_processors.get(step.block.label(0)) else { continue };
        let mut plugin = new();
        let schema = plugin.schema();
        check.step(step, &node, &schema, POST_PROCESSOR_OPTIONS, &later, |config, context| {
            plugin.prepare(config, context)
        });
    }
    Some(PreparedNode {
        builder: builder?,
        node: Arc::new(node),
        context: Arc::new(context),
        secrets,
    })
}

/// `source` as the blocks of a build see it.
fn source_name(node: &Node) -> (String, Value) {
    let source = [
        ("name".to_owned(), Value::from(node.source_name.as_str())),
        ("type".to_owned(), Value::from(node.ty.as_str())),
    ];
    ("source".to_owned(), Value::object(source.into()))
}

/// `build` as the steps of a build see it: with what the builder learnt, if it ran.
fn build_value(node: &Node, data: Option<&GeneratedData>) -> Value {
    let own = node.generated.iter().map(String::as_str);
    let mut values: BTreeMap<String, Value> = GENERATED
        .iter()
        .copied()
        .chain(own)
        .map(|name| {
            let value = match data {
                None => Value::unknown(Type::Dynamic),
                Some(_) => NOT_GIVEN.into(),
            };
            (name.to_owned(), value)
        })
        .collect();
    values.insert("name".to_owned(), node.build_name.clone().unwrap_or_default().into());
    let learnt = data.into_iter().flatten();
    values.extend(learnt.map(|(name, value)| (name.clone(), from_json(value))));
    Value::object(values)
}

/// The names that steps of a node see besides those all blocks see, while it runs.
pub(super) fn run_names(node: &Node, data: &GeneratedData) -> BTreeMap<String, Value> {
    [source_name(node), ("build".to_owned(), build_value(node, Some(data)))].into()
}

/// A step's options, for [`options::evaluate`]: `part` is its body, with the names in it.
pub(super) fn given<'a>(step: &'a Step, node: &Node, parts: &'a [&'a Part]) -> Given<'a> {
    let overrides = step.overrides.get(&node.source_name);
    Given { parts, overrides, header: step.block.header }
}

/// Where a plugin's name stands.
fn label_span(block: &Block) -> Span {
    block.labels.first().map_or(block.header, |label| label.span)
}

/// What checking the blocks of a node needs and finds.
struct Check<'a> {
    context: &'a PrepareContext,
    secrets: &'a mut Vec<String>,
    diagnostics: &'a mut Diagnostics,
}

impl Check<'_> {
    fn step(
        &mut self,
        step: &Step,
        node: &Node,
        schema: &Schema,
        reserved: &[&str],
        scope: &Scope,
        prepare: impl FnOnce(&Config, &PrepareContext) -> Result<Prepared, ConfigErrors>,
    ) {
        let part = step.part();
        self.block(given(step, node, &[&part]), schema, reserved, scope, prepare);
    }

    /// Evaluates a block and hands it to its plugin; what the plugin said if it took it.
    fn block(
        &mut self,
        given: Given,
        schema: &Schema,
        reserved: &[&str],
        scope: &Scope,
        prepare: impl FnOnce(&Config, &PrepareContext) -> Result<Prepared, ConfigErrors>,
    ) -> Option<Prepared> {
        let mut found = Diagnostics::default();
        let Options { config, secrets } =
            options::evaluate(given, schema, reserved, scope, &mut found);
        let failed = found.has_errors();
        self.diagnostics.extend(found);
        self.secrets.extend(secrets);
        if failed {
            return None;
        }
        match prepare(&config, self.context) {
            Ok(prepared) => {
                for warning in &prepared.warnings {
                    self.diagnostics.push(Diagnostic::warning(warning).at(given.header));
                }
                Some(prepared)
            }
            Err(errors) => {
                config_errors(errors, given, self.diagnostics);
                None
            }
        }
    }
}

fn config_errors(errors: ConfigErrors, given: Given, diagnostics: &mut Diagnostics) {
    for error in errors.0 {
        let place = error.option.as_deref().and_then(|option| {
            let name = option.split(['.', '[']).next().unwrap_or(option);
            let attributes = given.parts.iter().rev().map(|part| part.body.attribute(name));
            attributes.flatten().next().map(|attribute| attribute.expr.span)
        });
        let message = match (&error.option, place) {
            (Some(option), None) if !error.message.contains(option.as_str()) => {
                format!("{option}: {}", error.message)
            }
            _ => error.message,
        };
        let diagnostic = Diagnostic::error(message).at(place.unwrap_or(given.header));
        diagnostics.push(match error.hint {
            Some(hint) => diagnostic.help(hint),
            None => diagnostic,
        });
    }
}
