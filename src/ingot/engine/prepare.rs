//! Checks every block of a node against its plugin, offline.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{Builder, Config, ConfigError, ConfigErrors, PrepareContext, Prepared, Schema};

use super::build_values::BuildValues;
use super::project::{Project, RunFlags};
use crate::graph::{self, Filter, Node};
use crate::template::builds::{self, Part};
use crate::template::dynamic::Names;
use crate::template::options::{self, Given};
use crate::template::packer_block::RequiredPlugin;
use crate::template::steps::{Overrides, POST_PROCESSOR_OPTIONS, PROVISIONER_OPTIONS, Step};
use ingot_hcl::ast::Block;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, Severity};
use ingot_hcl::source::Span;
use ingot_hcl::{Scope, Unknowns, Value};

/// A node whose blocks are all in order.
pub struct PreparedNode {
    /// The node.
    pub node: Arc<Node>,
    /// Its builder, ready to run.
    pub builder: Box<dyn Builder>,
    /// What its plugins know.
    pub context: Arc<PrepareContext>,
    /// Why it will leave no artifact, where its options say so.
    pub no_artifact: Option<String>,
    /// What it makes that there can be only one of.
    claims: Vec<String>,
    /// What its blocks see as `build`.
    pub(super) values: Arc<BuildValues>,
}

/// Prepares all that `filter` selects. Those with something wrong are left out; `diagnostics`
/// says what. With [`Unknowns::Allow`], builders are only checked, and must not run: their options
/// can be unknown. Those of steps can in both cases; steps are prepared again when they run.
pub fn prepare(
    project: &Project,
    filter: &Filter,
    flags: &RunFlags,
    unknowns: Unknowns,
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
    if unknowns == Unknowns::Refuse {
        project.check_locals(&nodes, diagnostics);
    }
    let nodes = nodes.into_iter();
    let nodes = nodes.filter_map(|node| prepare_node(project, node, flags, unknowns, diagnostics));
    let nodes: Vec<PreparedNode> = nodes.collect();
    claims(&nodes, diagnostics);
    if !diagnostics.has_errors() {
        unused_sources(project, flags, diagnostics);
    }
    project.point_to_siblings(diagnostics);
    nodes
}

/// Warns of builds that make what there can be only one of, and which another one makes too.
fn claims(nodes: &[PreparedNode], diagnostics: &mut Diagnostics) {
    let mut claimed: BTreeMap<&str, &Node> = BTreeMap::new();
    for prepared in nodes {
        let node = &*prepared.node;
        // One warning for two builds, however much both make.
        let mut told = false;
        for claim in &prepared.claims {
            let Some(first) = claimed.get(claim.as_str()) else {
                claimed.insert(claim, node);
                continue;
            };
            if std::mem::replace(&mut told, true) {
                continue;
            }
            let text = format!(
                "`{}` and `{}` both make {claim}: the one that comes later fails, or replaces the \
                 other's",
                first.name, node.name
            );
            let warning = Diagnostic::warning(text).at(node.header);
            diagnostics.push(match first.header == node.header {
                true => warning,
                false => warning.also(first.header, "the other one"),
            });
        }
    }
}

/// Checks the sources that no build uses. What is wrong with one stops nobody, now.
fn unused_sources(project: &Project, flags: &RunFlags, diagnostics: &mut Diagnostics) {
    let scope = project.scope();
    let used = |ty: &str, name: &str| {
        let mut all = project.builds.iter().flat_map(|build| &build.sources);
        all.any(|source| source.ty == ty && source.name == name)
    };
    for ((ty, name), block) in &project.template.sources {
        if used(ty, name) {
            continue;
        }
        let mut found = Diagnostics::default();
        let (known, required) = (&project.plugins.builders, &project.template.required_plugins);
        if let Some(new) = find("builder", ty, label_span(block), known, required, &mut found) {
            let mut plugin = new();
            let context = project.source_context(ty, name, flags);
            let unknowns = Unknowns::Allow;
            let mut check = Check { context: &context, unknowns, diagnostics: &mut found };
            let part = Part { body: block.body.clone(), names: Default::default() };
            let given = Given { parts: &[&part], overrides: None, header: block.header };
            let names = builds::source_names(ty.as_str().into(), name.as_str().into());
            let scope = scope.with(names);
            check.block(given, &plugin.schema(), &[], &scope, |config, context| {
                plugin.prepare(config, context)
            });
        }
        for mut diagnostic in found {
            diagnostic.severity = Severity::Warning;
            diagnostics.push(diagnostic.note(format!("no build uses source.{ty}.{name}")));
        }
    }
}

/// Reports plugins that are not there, whether or not what names them is selected.
fn known_plugins(project: &Project, diagnostics: &mut Diagnostics) {
    let plugins = &project.plugins;
    let required = &project.template.required_plugins;
    for build in &project.builds {
        for used in &build.sources {
            let source = project.template.sources.get(&(used.ty.clone(), used.name.clone()));
            if let Some(source) = source {
                let (known, place) = (&plugins.builders, label_span(source));
                find("builder", &used.ty, place, known, required, diagnostics);
            }
        }
        for steps in build.sources.iter().map(|used| &used.steps) {
            for Step { block, .. } in steps.provisioners.iter().chain(&steps.error_cleanup) {
                let (name, place, known) =
                    (block.label(0), label_span(block), &plugins.provisioners);
                find("provisioner", name, place, known, required, diagnostics);
            }
            for Step { block, .. } in steps.post_processors.iter().flatten() {
                let (name, place, known) =
                    (block.label(0), label_span(block), &plugins.post_processors);
                find("post-processor", name, place, known, required, diagnostics);
            }
        }
    }
}

/// Plugins that Packer has and Ingot does not have yet, and what to do without them.
const NOT_YET: &[(&str, &str, &str)] = &[
    ("builder", "amazon-ebssurrogate", "amazon-ebs makes AMIs from an instance's own disk"),
    ("builder", "amazon-ebsvolume", "amazon-ebs makes an AMI with the volumes as its disks"),
    ("builder", "amazon-chroot", "amazon-ebs makes AMIs from an instance's own disk"),
    ("builder", "amazon-instance", "amazon-ebs makes AMIs with disks of EBS"),
    (
        "post-processor",
        "amazon-import",
        "run `aws ec2 import-image` in a shell-local post-processor",
    ),
    ("provisioner", "hcp-sbom", "run the scanner with a shell provisioner and download its report"),
    ("post-processor", "provenance", "sign with a shell-local post-processor"),
];

/// The plugin called `name`. Where there is none, what the template requires says where it would
/// come from.
pub(super) fn find<'p, T>(
    kind: &str,
    name: &str,
    place: Span,
    known: &'p BTreeMap<String, T>,
    required: &[RequiredPlugin],
    diagnostics: &mut Diagnostics,
) -> Option<&'p T> {
    let found = known.get(name);
    if found.is_some() {
        return found;
    }
    let planned = NOT_YET.iter().find(|(of, called, _)| *of == kind && *called == name);
    if let Some((_, _, advice)) = planned {
        diagnostics.push(
            Diagnostic::error(format!("the {kind} `{name}` is not supported yet"))
                .at(place)
                .help(*advice),
        );
        return None;
    }
    let diagnostic = Diagnostic::error(format!("no {kind} is called `{name}`")).at(place);
    let names = known.keys().map(String::as_str);
    diagnostics.push(match required.iter().find(|plugin| plugin.has(name)) {
        Some(plugin) if plugin.unavailable => return None,
        Some(plugin) => diagnostic
            .also(plugin.span, "it would be part of this plugin")
            .suggest_or_list(name, &format!("{kind}s here"), names),
        None => diagnostic.suggest_or_list(name, &format!("{kind}s here"), names),
    });
    None
}

fn prepare_node(
    project: &Project,
    node: Node,
    flags: &RunFlags,
    unknowns: Unknowns,
    diagnostics: &mut Diagnostics,
) -> Option<PreparedNode> {
    let context = project.prepare_context(&node, flags);
    let plugins = &project.plugins;
    let scope = project.scope();
    let mut check = Check { context: &context, unknowns, diagnostics };

    let mut builder = None;
    let (mut claims, mut no_artifact) = (Vec::new(), None);
    let mut values = BuildValues::new(&node, None);
    if let Some(new) = plugins.builders.get(&node.ty) {
        let mut plugin = new();
        let parts: Vec<&Part> = node.parts.iter().collect();
        let given = Given { parts: &parts, overrides: None, header: node.header };
        let scope = scope.with(source_names(&node));
        let prepared = check.block(given, &plugin.schema(), &[], &scope, |config, context| {
            plugin.prepare(config, context)
        });
        if let Some(prepared) = prepared {
            values = BuildValues::new(&node, Some(&prepared.generated));
            builder = Some(plugin);
            (claims, no_artifact) = (prepared.claims, prepared.no_artifact);
        }
    }
    let later = scope.with(run_names(&node, values.before()));
    // What the run gives is not known yet; whatever else is not is found when the step runs.
    check.unknowns = Unknowns::Allow;
    for step in node.provisioners.iter().chain(&node.error_cleanup) {
        let Some(new) = plugins.provisioners.get(step.block.label(0)) else { continue };
        let mut plugin = new();
        let schema = plugin.schema();
        check.step(step, &node, &schema, PROVISIONER_OPTIONS, &later, |config, context| {
            plugin.prepare(config, context)
        });
    }
    if let Some(why) = &no_artifact {
        for step in node.pipelines.iter().filter_map(|pipeline| pipeline.first()) {
            let name = step.block.label(0);
            check.diagnostics.push(
                Diagnostic::warning(format!(
                    "the post-processor `{name}` is not run for `{}`, which leaves nothing to \
                     process: {why}",
                    node.name
                ))
                .at(label_span(&step.block)),
            );
        }
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
        no_artifact,
        claims,
        values: Arc::new(values),
    })
}

/// `source` as the blocks of a node see it.
fn source_names(node: &Node) -> Names {
    builds::source_names(node.ty.as_str().into(), node.source_name.as_str().into())
}

/// The names that steps of a build see besides those all blocks see.
pub(super) fn run_names(node: &Node, build: Value) -> Names {
    let mut names = source_names(node);
    names.insert("build".to_owned(), build);
    names
}

/// Renders `{{ }}` in the options of a block and hands them to its plugin. All plugins get their
/// options through here, before the run and during it. With [`Unknowns::Allow`] the plugin judges
/// the known ones only; none if it could not do so, as others are missing.
pub(super) fn hand_over(
    config: &Config,
    schema: &Schema,
    context: &PrepareContext,
    unknowns: Unknowns,
    prepare: impl FnOnce(&Config, &PrepareContext) -> Result<Prepared, ConfigErrors>,
) -> Result<Option<Prepared>, ConfigErrors> {
    if unknowns == Unknowns::Refuse && !config.is_wholly_known() {
        // Evaluating the options has found this already; if it has not, nothing runs all the same.
        let unknown = |name| ConfigError::on(name, format!("the value of `{name}` is not known"));
        return Err(ConfigErrors(config.unknown().map(unknown).collect()));
    }
    let (config, mut warnings) = Interpolation::new(context).render_config(config, schema)?;
    let prepared = match prepare(&config, context) {
        Err(errors) => {
            let decided = errors.0.into_iter().filter(|error| !error.is_undecided(&config));
            return ConfigErrors(decided.collect()).into_result(None);
        }
        Ok(prepared) => prepared,
    };
    // What the plugin warns of and promises may depend on what it does not know.
    if !config.is_wholly_known() {
        let generated = prepared.generated;
        return Ok(Some(Prepared { warnings, generated, ..Prepared::default() }));
    }
    warnings.extend(prepared.warnings);
    Ok(Some(Prepared { warnings, ..prepared }))
}

/// What `override` sets in a step of a node.
pub(super) fn overrides(
    step: &Step,
    node: &Node,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> Option<Overrides> {
    step.overrides(&node.source_name, scope, diagnostics)
}

/// Where a plugin's name stands.
pub(super) fn label_span(block: &Block) -> Span {
    block.labels.first().map_or(block.header, |label| label.span)
}

/// What checking the blocks of a node needs and finds.
pub(super) struct Check<'a> {
    pub context: &'a PrepareContext,
    pub unknowns: Unknowns,
    pub diagnostics: &'a mut Diagnostics,
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
        let overrides = overrides(step, node, scope, self.diagnostics);
        let (parts, header) = (&[&part][..], step.block.header);
        let given = Given { parts, overrides: overrides.as_ref(), header };
        self.block(given, schema, reserved, scope, prepare);
    }

    /// Evaluates a block and hands it to its plugin; what the plugin said if it took it.
    pub(super) fn block(
        &mut self,
        given: Given,
        schema: &Schema,
        reserved: &[&str],
        scope: &Scope,
        prepare: impl FnOnce(&Config, &PrepareContext) -> Result<Prepared, ConfigErrors>,
    ) -> Option<Prepared> {
        let mut found = Diagnostics::default();
        let config = options::evaluate(given, schema, reserved, scope, self.unknowns, &mut found);
        let failed = found.has_errors();
        self.diagnostics.extend(found);
        if failed {
            return None;
        }
        match hand_over(&config, schema, self.context, self.unknowns, prepare) {
            Ok(prepared) => {
                for warning in prepared.iter().flat_map(|prepared| &prepared.warnings) {
                    self.diagnostics.push(Diagnostic::warning(warning).at(given.header));
                }
                prepared
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
