//! Checks every block of a node against its plugin, offline.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingot_sdk::{Builder, ConfigErrors, PrepareContext, Prepared, Schema};

use super::project::{Project, RunFlags};
use crate::graph::{Node, POST_PROCESSOR_RESERVED, PROVISIONER_RESERVED};
use crate::syntax::ast::{Block, Body};
use crate::syntax::diagnostic::{Diagnostic, Diagnostics, closest};
use crate::syntax::source::Span;
use crate::template::options::{self, Options};
use crate::template::types::Type;
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
    let scope = project.scope();
    let builder = builder(project, &node, &scope, &context, &mut secrets, diagnostics);

    let later = scope.with(run_names(&node, Value::unknown(Type::Dynamic)));
    for block in node.provisioners.iter().chain(&node.error_cleanup) {
        let Some(new) = project.plugins.provisioners.get(block.label(0)) else {
            let known = project.plugins.provisioners.keys();
            diagnostics.push(no_plugin("provisioner", block, known));
            continue;
        };
        let mut plugin = new();
        let mut check = |config: &_| plugin.prepare(config, &context);
        secrets.extend(check_block(
            &[&block.body],
            block,
            &new().schema(),
            PROVISIONER_RESERVED,
            &later,
            &mut check,
            diagnostics,
        ));
        super::hook::check_reserved(block, &later, diagnostics);
    }
    for block in node.pipelines.iter().flatten() {
        let Some(new) = project.plugins.post_processors.get(block.label(0)) else {
            let known = project.plugins.post_processors.keys();
            diagnostics.push(no_plugin("post-processor", block, known));
            continue;
        };
        let mut plugin = new();
        let mut check = |config: &_| plugin.prepare(config, &context);
        secrets.extend(check_block(
            &[&block.body],
            block,
            &new().schema(),
            POST_PROCESSOR_RESERVED,
            &later,
            &mut check,
            diagnostics,
        ));
    }
    Some(PreparedNode {
        builder: builder?,
        node: Arc::new(node),
        context: Arc::new(context),
        secrets,
    })
}

fn builder(
    project: &Project,
    node: &Node,
    scope: &Scope,
    context: &PrepareContext,
    secrets: &mut Vec<String>,
    diagnostics: &mut Diagnostics,
) -> Option<Box<dyn Builder>> {
    let Some(new) = project.plugins.builders.get(&node.ty) else {
        let known: Vec<&str> = project.plugins.builders.keys().map(String::as_str).collect();
        let diagnostic =
            Diagnostic::error(format!("no builder is called `{}`", node.ty)).at(node.header);
        diagnostics.push(match closest(&node.ty, known.iter().copied()) {
            Some(name) => diagnostic.help(format!("did you mean `{name}`?")),
            None => diagnostic.note(format!("builders here: {}", known.join(", "))),
        });
        return None;
    };
    let mut builder = new();
    let schema = builder.schema();
    let bodies: Vec<&Body> = node.bodies.iter().collect();
    let mut found = Diagnostics::default();
    let options = options::evaluate(&bodies, node.header, &schema, &[], scope, &mut found);
    let failed = found.has_errors();
    diagnostics.extend(found);
    secrets.extend(options.secrets);
    if failed {
        return None;
    }
    match builder.prepare(&options.config, context) {
        Ok(prepared) => {
            warn(prepared, node.header, diagnostics);
            Some(builder)
        }
        Err(errors) => {
            config_errors(errors, &bodies, node.header, diagnostics);
            None
        }
    }
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

fn check_block(
    bodies: &[&Body],
    block: &Block,
    schema: &Schema,
    reserved: &[&str],
    scope: &Scope,
    prepare: &mut dyn FnMut(&ingot_sdk::Config) -> Result<Prepared, ConfigErrors>,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let mut found = Diagnostics::default();
    let Options { config, secrets } =
        options::evaluate(bodies, block.header, schema, reserved, scope, &mut found);
    let failed = found.has_errors();
    diagnostics.extend(found);
    if !failed {
        match prepare(&config) {
            Ok(prepared) => warn(prepared, block.header, diagnostics),
            Err(errors) => config_errors(errors, bodies, block.header, diagnostics),
        }
    }
    secrets
}

fn warn(prepared: Prepared, header: Span, diagnostics: &mut Diagnostics) {
    for warning in prepared.warnings {
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

fn no_plugin<'a>(
    kind: &str,
    block: &Block,
    known: impl Iterator<Item = &'a String> + Clone,
) -> Diagnostic {
    let name = block.label(0);
    let span = block.labels.first().map_or(block.header, |label| label.span);
    let diagnostic = Diagnostic::error(format!("no {kind} is called `{name}`")).at(span);
    match closest(name, known.clone().map(String::as_str)) {
        Some(close) => diagnostic.help(format!("did you mean `{close}`?")),
        None => {
            let known: Vec<&str> = known.map(String::as_str).collect();
            diagnostic.note(format!("{kind}s here: {}", known.join(", ")))
        }
    }
}
