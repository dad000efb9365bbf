//! The options of a node's blocks as they are in every run, and the local files that they name.
//!
//! What only a run knows has a name in the place of its value, the time is the epoch and nothing is random,
//! so that options differ only where the template, its variables or what its data sources gave do.

use ingot_hcl::diagnostic::Diagnostics;
use ingot_hcl::source::Span;
use ingot_hcl::{Scope, Unknowns, Value};
use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{Config, OptionValue, PrepareContext};
use ingot_template::dynamic::{Names, Part};
use ingot_template::options::{self, BlockOptions};
use ingot_template::steps::Step;
use ingot_template::uses::Uses;

use super::options::PluginOptions;
use crate::blocks::step_options;
use crate::build_values::BuildValues;
use crate::graph::Node;
use crate::prepare::run_names;
use crate::project::{Project, Reproducible};

/// A block of a node, for its plugin.
pub(crate) struct Block<'b> {
    /// Its body; of a source, also what the build adds to it.
    pub parts: Vec<Part>,
    /// Where it starts.
    pub header: Span,
    /// The provisioner or post-processor; none for a source.
    pub step: Option<&'b Step>,
    /// The options that its plugin takes.
    pub plugin: &'b PluginOptions,
}

impl<'b> Block<'b> {
    /// The source of a node.
    pub(crate) fn source(node: &Node, plugin: &'b PluginOptions) -> Self {
        Block { parts: node.parts.clone(), header: node.header, step: None, plugin }
    }

    /// A provisioner or post-processor.
    pub(crate) fn step(step: &'b Step, plugin: &'b PluginOptions) -> Self {
        Block { parts: vec![step.part()], header: step.block.header, step: Some(step), plugin }
    }

    /// Its options as `scope` has them. What is wrong was reported when the node was checked.
    pub(super) fn options(&self, node: &Node, scope: &Scope) -> Config {
        let (schema, unknowns) = (&self.plugin.schema, Unknowns::Allow);
        let ignored = &mut Diagnostics::default();
        if let Some(step) = self.step {
            return step_options(step, node, schema, scope, unknowns, ignored);
        }
        let parts: Vec<&Part> = self.parts.iter().collect();
        let given = BlockOptions { parts: &parts, overrides: None, header: self.header };
        options::evaluate(given, schema, &[], scope, unknowns, ignored)
    }
}

/// How an option is written.
#[derive(Default)]
pub(crate) struct Written<'a> {
    /// Its expressions and blocks, and those of the locals in them.
    pub texts: Vec<&'a str>,
    /// What these use.
    pub uses: Uses,
}

/// Evaluates the blocks of a node.
pub(crate) struct NodeEvaluator<'a> {
    /// The template.
    pub project: &'a Project,
    /// The node.
    pub node: &'a Node,
    reproducible: &'a Reproducible,
    values: &'a BuildValues,
    context: &'a PrepareContext,
    scope: Scope<'a>,
}

impl<'a> NodeEvaluator<'a> {
    /// For `node` of `project`, whose blocks see `reproducible`, `values` as `build`, and `context` in `{{ }}`.
    pub(crate) fn new(
        project: &'a Project,
        reproducible: &'a Reproducible,
        node: &'a Node,
        values: &'a BuildValues,
        context: &'a PrepareContext,
    ) -> Self {
        let scope = Scope::new(reproducible.names.clone(), &reproducible.functions);
        NodeEvaluator { project, node, reproducible, values, context, scope }
    }

    /// What the node's builder takes, if it is there.
    pub(crate) fn builder(&self) -> Option<PluginOptions> {
        let (all, built_in) = (&self.project.plugins, &self.project.built_in);
        PluginOptions::of(&self.node.ty, &all.builders, &built_in.builders)
    }

    /// What the plugin of a provisioner takes, if it is there.
    pub(crate) fn provisioner(&self, step: &Step) -> Option<PluginOptions> {
        let (all, built_in) = (&self.project.plugins, &self.project.built_in);
        PluginOptions::of(step.block.label(0), &all.provisioners, &built_in.provisioners)
    }

    /// What the plugin of a post-processor takes, if it is there.
    pub(crate) fn post_processor(&self, step: &Step) -> Option<PluginOptions> {
        let (all, built_in) = (&self.project.plugins, &self.project.built_in);
        PluginOptions::of(step.block.label(0), &all.post_processors, &built_in.post_processors)
    }

    /// The options of a block, with its own name for each value of `build.*`.
    pub(crate) fn named(&self, block: &Block) -> Config {
        block.options(self.node, &self.scope.with(self.run_names()))
    }

    /// The same with `build.*` unknown. Options that cannot be evaluated with names in the place of its
    /// values, as where one has to be a number, are only here.
    pub(crate) fn open(&self, block: &Block) -> Config {
        block.options(self.node, &self.scope.with(run_names(self.node, self.values.before())))
    }

    /// What blocks see of the run, with names in the place of values.
    pub(super) fn run_names(&self) -> Names {
        run_names(self.node, self.values.placeholders())
    }

    /// The local files that the options in `config` name: the option, and the path.
    pub(crate) fn files(&self, plugin: &PluginOptions, config: &Config) -> Vec<(String, String)> {
        plugin.local_files(&self.rendered(config))
    }

    /// The options in `config` with `{{ }}` filled in.
    pub(crate) fn rendered(&self, config: &Config) -> Config {
        let interpolation = Interpolation::new(self.context);
        let render = |text: &str| {
            let rendered = interpolation.render(text, &serde_json::Value::Null);
            rendered.unwrap_or_else(|_| text.to_owned())
        };
        let values = config.values().iter();
        Config::new(values.map(|(name, value)| (name.clone(), rendered(value, &render))))
    }

    /// How an option is written, for where its value does not say it all: in the bodies of a block, as an
    /// attribute or as blocks, and in `override`.
    pub(crate) fn written(&self, block: &Block, option: &str) -> Written<'a> {
        let (sources, template) = (&self.project.sources, &self.project.template);
        let mut written = Written::default();
        for Part { body, .. } in &block.parts {
            let attributes = [option, "override"].into_iter().filter_map(|one| body.attribute(one));
            for attribute in attributes {
                written.texts.push(sources.text(attribute.expr.span));
                written.uses.extend(Uses::of_expression(template, &attribute.expr));
            }
            let blocks = body.blocks.iter();
            for inner in blocks.filter(|inner| inner.kind == option || inner.label(0) == option) {
                written.texts.push(sources.text(inner.body.span));
                written.uses.extend(Uses::of(template, [&inner.body]));
            }
        }
        let locals = written.uses.locals.iter();
        let locals = locals.filter_map(|name| template.locals.get(name)?.expr.as_ref());
        written.texts.extend(locals.map(|expr| sources.text(expr.span)));
        written
    }

    /// The input variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let reproducible: &'a Reproducible = self.reproducible;
        let variables = reproducible.names.get("var").and_then(Value::as_entries);
        variables.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// The values of what expressions use, by name: of variables and locals, and all that data sources
    /// gave.
    pub(crate) fn values_of(&self, uses: &Uses) -> Vec<(&'a str, &'a Value)> {
        let names: &'a _ = &self.reproducible.names;
        let entries = |of: &str| names.get(of).and_then(Value::as_entries).into_iter().flatten();
        let variables =
            entries("var").filter(|(name, _)| uses.all_variables || uses.variables.contains(*name));
        let locals = entries("local").filter(|(name, _)| uses.locals.contains(*name));
        let data = uses.data.iter().filter_map(|(ty, name)| {
            let data = names.get("data")?.as_entries()?;
            data.get(ty)?.as_entries()?.get(name)?.as_entries()
        });
        let all = variables.chain(locals).chain(data.flatten());
        all.map(|(name, value)| (name.as_str(), value)).collect()
    }
}

/// A value with `{{ }}` filled in.
fn rendered(value: &OptionValue, render: &dyn Fn(&str) -> String) -> OptionValue {
    match value {
        OptionValue::String(text) if text.contains("{{") => OptionValue::String(render(text)),
        OptionValue::Secret(text) if text.contains("{{") => OptionValue::Secret(render(text)),
        OptionValue::List(items) => {
            OptionValue::List(items.iter().map(|item| rendered(item, render)).collect())
        }
        OptionValue::Map(entries) => OptionValue::Map(
            entries.iter().map(|(name, value)| (name.clone(), rendered(value, render))).collect(),
        ),
        other => other.clone(),
    }
}
