//! Hands a block's options to its plugin: evaluates them, renders `{{ }}` in them and reports what
//! the plugin finds wrong at their places.

use std::collections::BTreeMap;

use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{
    Config, ConfigError, ConfigErrors, ConfigWarning, Prepare, PrepareContext, Prepared, Schema,
};
use ingot_template::option_place::{config_errors, option_place};
use ingot_template::options::{self, BlockOptions};
use ingot_template::packer_block::RequiredPlugin;
use ingot_template::steps::Step;

use crate::graph::Node;
use ingot_hcl::ast::Block;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, closest};
use ingot_hcl::source::Span;
use ingot_hcl::{Scope, Unknowns};

/// Components of a plugin whose others are built in: the plugin's program has them.
const OF_PROGRAMS: &[(&str, &str)] =
    &[("builder", "amazon-chroot"), ("builder", "amazon-instance")];

/// Plugins of HashiCorp's whose components are not built in, by what the names of these begin with.
const PLUGINS: &[&str] = &[
    "ansible",
    "azure",
    "chef",
    "googlecompute",
    "hyperv",
    "openstack",
    "proxmox",
    "puppet",
    "vagrant",
    "virtualbox",
    "vmware",
    "vsphere",
];

/// How to get the plugin that has a component which is not here.
fn where_from(component: &str) -> String {
    if let Some(plugin) = PLUGINS.iter().find(|plugin| component.starts_with(**plugin)) {
        let source = format!("github.com/hashicorp/{plugin}");
        return format!(
            "it would be part of the plugin {plugin}: add `{plugin} = {{ source = \"{source}\", version \
             = \"~> 1\" }}` to required_plugins and run `ingot init`, or run `ingot plugins install \
             {source}`"
        );
    }
    let word = component.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or("");
    format!(
        "if it is part of a plugin, which https://developer.hashicorp.com/packer/integrations?filter={word} \
         may list, add that to required_plugins and run `ingot init`, or run `ingot plugins install \
         SOURCE`"
    )
}

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
    if OF_PROGRAMS.contains(&(kind, name)) {
        diagnostics.push(
            Diagnostic::error(format!("the {kind} `{name}` is not built in")).at(place).help(
                "it is part of the plugin github.com/hashicorp/amazon: add that to \
                 required_plugins and run `ingot init`, or run `ingot plugins install \
                 github.com/hashicorp/amazon`",
            ),
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
        None => {
            let near = closest(name, names.clone()).is_some();
            let diagnostic = diagnostic.suggest_or_list(name, &format!("{kind}s here"), names);
            match near {
                true => diagnostic,
                false => diagnostic.help(where_from(name)),
            }
        }
    });
    None
}

/// Renders `{{ }}` in the options of a block and has its plugin judge them as far as they are
/// known; none if it could not do so, as others are missing. All plugins get their options through
/// here or through [`prepare_config`].
fn check_config<R: ?Sized>(
    plugin: &dyn Prepare<R>,
    config: &Config,
    schema: &Schema,
    context: &PrepareContext,
) -> Result<Option<Prepared>, ConfigErrors> {
    let (config, mut warnings) = Interpolation::new(context).render_config(config, schema)?;
    let prepared = match plugin.check(&config, context) {
        Err(errors) => {
            if config.is_wholly_known() {
                return Err(errors.with_warnings(warnings));
            }
            let decided = errors.0.into_iter().filter(|error| !error.is_undecided(&config));
            return ConfigErrors::from_iter(decided).with_warnings(warnings).into_result(None);
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

/// Renders `{{ }}` in the options of a block, which must all be known, and makes of its plugin what
/// can run.
pub(super) fn prepare_config<R: ?Sized>(
    plugin: &dyn Prepare<R>,
    config: &Config,
    schema: &Schema,
    context: &PrepareContext,
) -> Result<Prepared<Box<R>>, ConfigErrors> {
    if !config.is_wholly_known() {
        // Evaluating the options has found this already; if it has not, nothing runs all the same.
        let unknown = |name| ConfigError::on(name, format!("the value of `{name}` is not known"));
        return Err(config.unknown().map(unknown).collect());
    }
    let (config, mut warnings) = Interpolation::new(context).render_config(config, schema)?;
    let mut prepared = match plugin.prepare(&config, context) {
        Ok(prepared) => prepared,
        Err(errors) => return Err(errors.with_warnings(warnings)),
    };
    warnings.append(&mut prepared.warnings);
    Ok(Prepared { warnings, ..prepared })
}

/// The options of a step of a node: what its block sets, with what `override` sets for the node.
pub(super) fn step_options(
    step: &Step,
    node: &Node,
    schema: &Schema,
    scope: &Scope,
    unknowns: Unknowns,
    diagnostics: &mut Diagnostics,
) -> Config {
    let part = step.part();
    let overrides = step.overrides(&node.source_name, scope, diagnostics);
    let (parts, header) = (&[&part][..], step.block.header);
    let given = BlockOptions { parts, overrides: overrides.as_ref(), header };
    options::evaluate(given, schema, step.own_options, scope, unknowns, diagnostics)
}

/// Where a plugin's name stands.
pub(super) fn label_span(block: &Block) -> Span {
    block.labels.first().map_or(block.header, |label| label.span)
}

/// What checking the blocks of a node needs and finds.
pub(super) struct Check<'a> {
    pub context: &'a PrepareContext,
    pub diagnostics: &'a mut Diagnostics,
}

impl Check<'_> {
    /// Checks a step as far as its options are known.
    pub(super) fn step<R: ?Sized>(
        &mut self,
        step: &Step,
        node: &Node,
        plugin: &dyn Prepare<R>,
        scope: &Scope,
    ) {
        let part = step.part();
        let overrides = step.overrides(&node.source_name, scope, self.diagnostics);
        let (parts, header) = (&[&part][..], step.block.header);
        let given = BlockOptions { parts, overrides: overrides.as_ref(), header };
        self.check(given, plugin, step.own_options, scope);
    }

    /// Evaluates a block and has its plugin judge what is known; what the plugin said if it could.
    pub(super) fn check<R: ?Sized>(
        &mut self,
        given: BlockOptions,
        plugin: &dyn Prepare<R>,
        reserved: &[&str],
        scope: &Scope,
    ) -> Option<Prepared> {
        let schema = plugin.schema();
        let config = self.evaluate(given, &schema, reserved, scope, Unknowns::Allow)?;
        let checked = check_config(plugin, &config, &schema, self.context).transpose()?;
        self.report(given, checked)
    }

    /// Evaluates a block, all of which must be known, and makes of its plugin what can run.
    pub(super) fn prepare<R: ?Sized>(
        &mut self,
        given: BlockOptions,
        plugin: &dyn Prepare<R>,
        reserved: &[&str],
        scope: &Scope,
    ) -> Option<Prepared<Box<R>>> {
        let schema = plugin.schema();
        let config = self.evaluate(given, &schema, reserved, scope, Unknowns::Refuse)?;
        self.report(given, prepare_config(plugin, &config, &schema, self.context))
    }

    fn evaluate(
        &mut self,
        given: BlockOptions,
        schema: &Schema,
        reserved: &[&str],
        scope: &Scope,
        unknowns: Unknowns,
    ) -> Option<Config> {
        let mut found = Diagnostics::default();
        let config = options::evaluate(given, schema, reserved, scope, unknowns, &mut found);
        let failed = found.has_errors();
        self.diagnostics.extend(found);
        (!failed).then_some(config)
    }

    /// Reports a plugin's errors and warnings about a block's options.
    fn report<R>(
        &mut self,
        given: BlockOptions,
        prepared: Result<Prepared<R>, ConfigErrors>,
    ) -> Option<Prepared<R>> {
        match prepared {
            Ok(prepared) => {
                self.report_warnings(given, &prepared.warnings);
                Some(prepared)
            }
            Err(errors) => {
                self.report_warnings(given, errors.warnings());
                config_errors(errors, given, self.diagnostics);
                None
            }
        }
    }

    fn report_warnings(&mut self, given: BlockOptions, warnings: &[ConfigWarning]) {
        for warning in warnings {
            let place = warning.option.as_deref().and_then(|option| option_place(option, given));
            let place = place.unwrap_or(given.header);
            self.diagnostics.push(Diagnostic::warning(&warning.message).at(place));
        }
    }
}
