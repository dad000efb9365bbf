//! Checks every block of a node against its plugin, offline, and prepares its builder.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingot_sdk::{Build, Builder, PrepareContext, Prepared};
use ingot_template::builds;
use ingot_template::dynamic::{Names, Part};
use ingot_template::options::BlockOptions;
use ingot_template::steps::Step;

use super::artifact_tests;
use super::blocks::{Check, find, label_span};
use super::build_values::BuildValues;
use super::project::{Project, RunFlags};
use crate::graph::{self, Filter, Node};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, Severity};
use ingot_hcl::{Scope, Unknowns, Value};

/// A node whose blocks are all in order, as far as their options are known. `B` is what can run:
/// nothing of a node that was only checked.
pub struct CheckedNode<B = ()> {
    /// The node.
    pub node: Arc<Node>,
    /// What can run.
    pub builder: B,
    /// What its plugins know.
    pub context: Arc<PrepareContext>,
    /// Why it will leave no artifact, where its options say so.
    pub no_artifact: Option<String>,
    /// What it makes that there can be only one of.
    claims: Vec<String>,
    /// What its blocks see as `build`.
    pub(super) values: Arc<BuildValues>,
}

/// A node whose builder can run.
pub type PreparedNode = CheckedNode<Box<dyn Build>>;

/// Checks all that `filter` selects, as far as options are known. Nodes with something wrong are
/// left out; `diagnostics` says what.
pub fn check(
    project: &Project,
    filter: &Filter,
    flags: &RunFlags,
    diagnostics: &mut Diagnostics,
) -> Vec<CheckedNode> {
    let unknowns = Unknowns::Allow;
    let take = |check: &mut Check, given: BlockOptions, builder: &Builder, scope: &Scope| {
        check.check(given, builder, &[], scope)
    };
    // What a builder cannot judge yet is in order as far as it is known.
    nodes(project, filter, flags, unknowns, diagnostics, take, || Some(()))
}

/// Prepares the builders of all that `filter` selects, whose options must all be known, and checks
/// the steps, which are prepared when they run. Nodes with something wrong are left out;
/// `diagnostics` says what.
pub fn prepare(
    project: &Project,
    filter: &Filter,
    flags: &RunFlags,
    diagnostics: &mut Diagnostics,
) -> Vec<PreparedNode> {
    let unknowns = Unknowns::Refuse;
    let take = |check: &mut Check, given: BlockOptions, builder: &Builder, scope: &Scope| {
        check.prepare(given, builder, &[], scope)
    };
    nodes(project, filter, flags, unknowns, diagnostics, take, || None)
}

/// All that `filter` selects, with what `take` makes of the builders, or with `undecided` where a
/// builder does not know enough to say something.
fn nodes<B>(
    project: &Project,
    filter: &Filter,
    flags: &RunFlags,
    unknowns: Unknowns,
    diagnostics: &mut Diagnostics,
    take: impl Fn(&mut Check, BlockOptions, &Builder, &Scope) -> Option<Prepared<B>>,
    undecided: fn() -> Option<B>,
) -> Vec<CheckedNode<B>> {
    if !project.readable {
        return Vec::new();
    }
    if project.builds.is_empty() && !diagnostics.has_errors() {
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
    let prepared = |node| prepare_node(project, node, flags, diagnostics, (&take, undecided));
    let nodes = nodes.filter_map(prepared);
    let nodes: Vec<CheckedNode<B>> = nodes.collect();
    claims(&nodes, diagnostics);
    if !diagnostics.has_errors() {
        unused_sources(project, flags, diagnostics);
    }
    project.point_to_siblings(diagnostics);
    nodes
}

/// Warns of builds that make what there can be only one of, and which another one makes too.
fn claims<B>(nodes: &[CheckedNode<B>], diagnostics: &mut Diagnostics) {
    let mut claimed: BTreeMap<&str, &Node> = BTreeMap::new();
    for prepared in nodes {
        let node = &*prepared.node;
        // One warning for two builds, however much both make.
        let mut message = false;
        for claim in &prepared.claims {
            let Some(first) = claimed.get(claim.as_str()) else {
                claimed.insert(claim, node);
                continue;
            };
            if std::mem::replace(&mut message, true) {
                continue;
            }
            let text = format!("`{}` and `{}` both create {claim}", first.name, node.name);
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
        if let Some(plugin) = find("builder", ty, label_span(block), known, required, &mut found) {
            let context = project.source_context(ty, name, flags);
            let mut check = Check { context: &context, diagnostics: &mut found };
            let part = Part { body: block.body.clone(), names: Default::default() };
            let given = BlockOptions { parts: &[&part], overrides: None, header: block.header };
            let names = builds::source_names(ty.as_str().into(), name.as_str().into());
            let scope = scope.with(names);
            check.check(given, &**plugin, &[], &scope);
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

fn prepare_node<B>(
    project: &Project,
    node: Node,
    flags: &RunFlags,
    diagnostics: &mut Diagnostics,
    (take, undecided): (
        &impl Fn(&mut Check, BlockOptions, &Builder, &Scope) -> Option<Prepared<B>>,
        fn() -> Option<B>,
    ),
) -> Option<CheckedNode<B>> {
    let mut context = project.prepare_context(&node, flags);
    let plugins = &project.plugins;
    let scope = project.scope();
    let mut check = Check { context: &context, diagnostics: &mut *diagnostics };

    let mut builder = None;
    let (mut claims, mut no_artifact) = (Vec::new(), None);
    let mut values = BuildValues::new(&node, None);
    if let Some(plugin) = plugins.builders.get(&node.ty) {
        let parts: Vec<&Part> = node.parts.iter().collect();
        let given = BlockOptions { parts: &parts, overrides: None, header: node.header };
        let scope = scope.with(source_names(&node));
        let errors = check.diagnostics.errors();
        if let Some(prepared) = take(&mut check, given, &**plugin, &scope) {
            values = BuildValues::new(&node, Some(&prepared.generated));
            builder = Some(prepared.ready);
            (claims, no_artifact) = (prepared.claims, prepared.no_artifact);
        } else if check.diagnostics.errors() == errors {
            builder = undecided();
        }
    }
    context.build_values = values.names();
    let mut check = Check { context: &context, diagnostics };
    let later = scope.with(run_names(&node, values.before()));
    // What the run gives is not known yet; whatever else is not is found when the step runs.
    for step in node.provisioners.iter().chain(&node.error_cleanup) {
        if let Some(plugin) = plugins.provisioners.get(step.block.label(0)) {
            check.step(step, &node, &**plugin, &later);
        }
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
        if let Some(plugin) = plugins.post_processors.get(step.block.label(0)) {
            check.step(step, &node, &**plugin, &later);
        }
    }
    artifact_tests::check(project, &node, check.diagnostics);
    Some(CheckedNode {
        builder: builder?,
        node: Arc::new(node),
        context: Arc::new(context),
        no_artifact,
        claims,
        values: Arc::new(values),
    })
}

/// `source` as the blocks of a node see it.
pub(super) fn source_names(node: &Node) -> Names {
    builds::source_names(node.ty.as_str().into(), node.source_name.as_str().into())
}

/// The names that steps of a build see besides those all blocks see.
pub(super) fn run_names(node: &Node, build: Value) -> Names {
    let mut names = source_names(node);
    names.insert("build".to_owned(), build);
    names
}
