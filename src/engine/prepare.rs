//! Checks every block of a node against its plugin, offline.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{Builder, Config, ConfigErrors, PrepareContext, Prepared, Schema};

use super::build_values::BuildValues;
use super::project::{Project, RunFlags};
use crate::graph::{Node, POST_PROCESSOR_RESERVED, PROVISIONER_RESERVED};
use crate::syntax::ast::{Block, Body};
use crate::syntax::diagnostic::{Diagnostic, Diagnostics};
use crate::syntax::source::Span;
use crate::template::options::{self, Options};
use crate::template::packer_block::RequiredPlugin;
use crate::template::{Scope, Value};

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
    /// What its blocks see as `build`.
    pub(super) values: Arc<BuildValues>,
}

/// Prepares a node. None if something is wrong; `diagnostics` says what.
pub fn prepare(
    project: &Project,
    node: Node,
    flags: &RunFlags,
    diagnostics: &mut Diagnostics,
) -> Option<PreparedNode> {
    let context = project.prepare_context(&node, flags);
    let mut secrets = Vec::new();
    let plugins = &project.plugins;
    let scope = project.scope();
    let required = &project.template.required_plugins;
    let mut check = Check { context: &context, required, secrets: &mut secrets, diagnostics };

    let mut builder = None;
    let mut values = BuildValues::new(&node, None);
    if let Some(new) = check.find("builder", &node.ty, node.header, &plugins.builders) {
        let mut plugin = new();
        let bodies: Vec<&Body> = node.bodies.iter().collect();
        let (schema, header) = (plugin.schema(), node.header);
        let ready = check.block(&bodies, header, &schema, &[], &scope, |config, context| {
            plugin.prepare(config, context)
        });
        if let Some(prepared) = ready {
            values = BuildValues::new(&node, Some(&prepared.generated));
            builder = Some(plugin);
        }
    }
    let later = scope.with(run_names(&node, values.before()));
    for block in node.provisioners.iter().chain(&node.error_cleanup) {
        let (name, place) = (block.label(0), label_span(block));
        let Some(new) = check.find("provisioner", name, place, &plugins.provisioners) else {
            continue;
        };
        let mut plugin = new();
        let (schema, own) = (plugin.schema(), PROVISIONER_RESERVED);
        let bodies = [&block.body];
        check.block(&bodies, block.header, &schema, own, &later, |config, context| {
            plugin.prepare(config, context)
        });
        super::hook::reserved(block, &later, check.diagnostics);
    }
    for block in node.pipelines.iter().flatten() {
        let (name, place) = (block.label(0), label_span(block));
        let Some(new) = check.find("post-processor", name, place, &plugins.post_processors) else {
            continue;
        };
        let mut plugin = new();
        let (schema, own) = (plugin.schema(), POST_PROCESSOR_RESERVED);
        let bodies = [&block.body];
        check.block(&bodies, block.header, &schema, own, &later, |config, context| {
            plugin.prepare(config, context)
        });
    }
    Some(PreparedNode {
        builder: builder?,
        node: Arc::new(node),
        context: Arc::new(context),
        secrets,
        values: Arc::new(values),
    })
}

/// The names that blocks of a build see besides those all see.
pub(super) fn run_names(node: &Node, build: Value) -> BTreeMap<String, Value> {
    let source = [
        ("name".to_owned(), Value::from(node.source_name.as_str())),
        ("type".to_owned(), Value::from(node.ty.as_str())),
    ];
    BTreeMap::from([
        ("build".to_owned(), build),
        ("source".to_owned(), Value::object(source.into())),
    ])
}

/// Renders `{{ }}` in the options of a block and hands them to its plugin. All plugins get their
/// options through here, before the run and during it.
pub(super) fn hand_over(
    config: &Config,
    schema: &Schema,
    context: &PrepareContext,
    prepare: impl FnOnce(&Config, &PrepareContext) -> Result<Prepared, ConfigErrors>,
) -> Result<Prepared, ConfigErrors> {
    let (config, warnings) = Interpolation::new(context).render_config(config, schema)?;
    let mut prepared = prepare(&config, context)?;
    prepared.warnings.splice(0..0, warnings);
    Ok(prepared)
}

/// Plugins that Packer has and Ingot does not have yet, and what to do without them.
const NOT_YET: &[(&str, &str, &str)] = &[
    ("provisioner", "hcp-sbom", "run the scanner with a shell provisioner and download its report"),
    ("provisioner", "powershell", "machines are provisioned with a POSIX shell only so far"),
    ("provisioner", "windows-shell", "machines are provisioned with a POSIX shell only so far"),
    ("provisioner", "windows-restart", "machines are provisioned with a POSIX shell only so far"),
    ("post-processor", "provenance", "sign with a shell-local post-processor"),
];

/// Where a plugin's name stands.
pub(super) fn label_span(block: &Block) -> Span {
    block.labels.first().map_or(block.header, |label| label.span)
}

/// What checking the blocks of a node needs and finds.
pub(super) struct Check<'a> {
    pub context: &'a PrepareContext,
    /// What the template requires, to say where a plugin that is not here would come from.
    pub required: &'a [RequiredPlugin],
    pub secrets: &'a mut Vec<String>,
    pub diagnostics: &'a mut Diagnostics,
}

impl Check<'_> {
    /// The plugin called `name`.
    pub(super) fn find<'p, T>(
        &mut self,
        kind: &str,
        name: &str,
        place: Span,
        known: &'p BTreeMap<String, T>,
    ) -> Option<&'p T> {
        let found = known.get(name);
        let planned = NOT_YET.iter().find(|(of, called, _)| *of == kind && *called == name);
        if let (None, Some((_, _, advice))) = (found, planned) {
            self.diagnostics.push(
                Diagnostic::error(format!("the {kind} `{name}` is not supported yet"))
                    .at(place)
                    .help(*advice),
            );
        } else if found.is_none() {
            let diagnostic = Diagnostic::error(format!("no {kind} is called `{name}`")).at(place);
            let names = known.keys().map(String::as_str);
            self.diagnostics.push(match self.required.iter().find(|plugin| plugin.has(name)) {
                Some(plugin) => diagnostic
                    .also(plugin.span, "it is part of this plugin, which is not built in")
                    .help("plugins that are not built in cannot be used yet"),
                None => diagnostic.suggest_or_list(name, &format!("{kind}s here"), names),
            });
        }
        found
    }

    /// Evaluates a block and hands it to its plugin; none if the plugin did not take it.
    pub(super) fn block(
        &mut self,
        bodies: &[&Body],
        header: Span,
        schema: &Schema,
        reserved: &[&str],
        scope: &Scope,
        prepare: impl FnOnce(&Config, &PrepareContext) -> Result<Prepared, ConfigErrors>,
    ) -> Option<Prepared> {
        let mut found = Diagnostics::default();
        let Options { config, secrets } =
            options::evaluate(bodies, header, schema, reserved, scope, &mut found);
        let failed = found.has_errors();
        self.diagnostics.extend(found);
        self.secrets.extend(secrets);
        if failed {
            return None;
        }
        match hand_over(&config, schema, self.context, prepare) {
            Ok(prepared) => {
                warn(&prepared, header, self.diagnostics);
                Some(prepared)
            }
            Err(errors) => {
                config_errors(errors, bodies, header, self.diagnostics);
                None
            }
        }
    }
}

fn warn(prepared: &Prepared, header: Span, diagnostics: &mut Diagnostics) {
    for warning in &prepared.warnings {
        diagnostics.push(Diagnostic::warning(warning).at(header));
    }
}

fn config_errors(
    errors: ConfigErrors,
    bodies: &[&Body],
    header: Span,
    diagnostics: &mut Diagnostics,
) {
    for error in errors.0 {
        let place = error.option.as_deref().and_then(|option| {
            let name = option.split(['.', '[']).next().unwrap_or(option);
            bodies.iter().rev().find_map(|body| body.attribute(name)).map(|a| a.expr.span)
        });
        let message = match (&error.option, place) {
            (Some(option), None) if !error.message.contains(option.as_str()) => {
                format!("{option}: {}", error.message)
            }
            _ => error.message,
        };
        let diagnostic = Diagnostic::error(message).at(place.unwrap_or(header));
        diagnostics.push(match error.hint {
            Some(hint) => diagnostic.help(hint),
            None => diagnostic,
        });
    }
}
