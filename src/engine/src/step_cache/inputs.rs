//! What the effect of a provisioner depends on, part by part, or why that cannot be said.
//!
//! Options have the values of this run, not those that are the same in every run
//! ([`crate::inputs`]): the machine gets these, so a step with one that differs each time is not cached.

use ingot_hcl::diagnostic::Diagnostics;
use ingot_hcl::{Scope, Unknowns};
use ingot_sdk::file_work::{Reader, blocking};
use ingot_sdk::interpolate::{COMPATIBLE_PACKER_VERSION, Interpolation};
use ingot_sdk::{
    Config, Effect, OptionValue, PrepareContext, Result, RunContext, Schema, StateKey, script,
};
use ingot_template::steps::Step;
use serde_json::json;

use super::files::{Contents, LocalFile};
use super::secret::Secret;
use super::volatile::{called, volatile_actions, volatile_reference, watched};
use crate::blocks::step_options;
use crate::build_values::BuildValues;
use crate::graph::Node;
use crate::inputs::PluginOptions;
use crate::prepare::run_names;
use crate::project::Project;

/// The form of keys. What changes what a key stands for takes a new one.
const FORMAT: &str = "2";

/// What a step's effect depends on: what each part is called, for people, and a hash of it. Hashes are
/// made with the cache's secret, so that nobody can try out what a part might be.
pub(super) type Inputs = Vec<(String, String)>;

/// Why a step is not cached, for people. Holds no values of options.
pub(super) type Reason = String;

/// What a step depends on, before its files are read.
pub(super) struct Description {
    parts: Vec<(String, String)>,
    /// The files, and the options that name them.
    files: Vec<(String, LocalFile)>,
}

/// A build before it runs.
pub(super) struct BuildContext<'a> {
    pub project: &'a Project,
    pub node: &'a Node,
    pub values: &'a BuildValues,
    pub prepare: &'a PrepareContext,
}

/// What `step` depends on.
///
/// # Errors
/// Why that is not known before it runs, or is never the same.
pub(super) fn describe(of: &BuildContext, step: &Step) -> Result<Description, Reason> {
    let kind = step.block.label(0);
    let (all, built_in) = (&of.project.plugins.provisioners, &of.project.built_in.provisioners);
    let plugin = all.get(kind).zip(PluginOptions::of(kind, all, built_in));
    let (plugin, options) = plugin.ok_or("its plugin is not installed")?;
    let schema = &options.schema;
    if schema.renders_itself || schema.open {
        return Err(format!(
            "what the plugin of `{kind}`, a program of its own, reads is not known"
        ));
    }
    let effect = plugin.facts().effect;
    match effect {
        Effect::Options | Effect::Scripts { .. } | Effect::Copies { .. } => {}
        Effect::Never(why) => return Err(why.to_owned()),
        Effect::Unknown => {
            return Err(format!("what the provisioner `{kind}` reads is not known"));
        }
    }
    if let Some(why) = volatile_reference(of.project, step) {
        return Err(why);
    }
    let config = evaluated(of, step, schema)?;
    let is_late = |option: &str| schema.get(option).is_some_and(|spec| spec.rendered_late);
    if let Some(why) = volatile_actions(&config, of.prepare, is_late) {
        return Err(why);
    }
    let rendered = Interpolation::new(of.prepare).render_config(&config, schema);
    let (config, _) = rendered.map_err(|_| "its options cannot be rendered before it runs")?;
    let mut found = Description {
        parts: vec![
            ("Ingot".into(), format!("{FORMAT} {}", env!("CARGO_PKG_VERSION"))),
            ("the type of the provisioner".into(), format!("{kind} {COMPATIBLE_PACKER_VERSION}")),
            (
                "how the engine runs it".into(),
                json!([
                    step.pause_before.as_nanos().to_string(),
                    step.timeout.map(|limit| limit.as_nanos().to_string()),
                    step.max_retries,
                    step.continue_on_error
                ])
                .to_string(),
            ),
        ],
        files: Vec::new(),
    };
    let files = options.local_files(&config);
    match effect {
        Effect::Options | Effect::Never(_) | Effect::Unknown => {}
        Effect::Scripts { named_in } => {
            // Scripts see these as PACKER_BUILD_NAME and PACKER_BUILDER_TYPE.
            let names = json!([of.prepare.build_name, of.prepare.build_type]).to_string();
            found.parts.push(("the name of the source".into(), names));
            let path = named_in.and_then(|option| config.get(option)?.as_str());
            if path.is_some_and(|path| path.ends_with(['/', '\\'])) {
                let names: Vec<_> = files.iter().map(|(_, path)| script::file_name(path)).collect();
                found.parts.push(("the names of the scripts".into(), json!(names).to_string()));
            }
        }
        Effect::Copies { uncached } => {
            if let Some(why) = uncached(&config) {
                return Err(why.to_owned());
            }
        }
    }
    let copied = matches!(effect, Effect::Copies { .. });
    let files = files.into_iter();
    found.files.extend(files.map(|(option, path)| (option, LocalFile { path, copied })));
    for (option, value) in config.values() {
        if schema.get(option).is_none_or(|spec| spec.reads.is_none()) {
            found.parts.push((format!("option {option}"), text(of, schema, option, value)?));
        }
    }
    Ok(found)
}

/// The options of a step as they are known before it runs, which must be all of them.
fn evaluated(of: &BuildContext, step: &Step, schema: &Schema) -> Result<Config, Reason> {
    let project = of.project;
    let functions = watched(project);
    let scope = Scope::new(project.names.clone(), &functions);
    let scope = scope.with(run_names(of.node, of.values.before()));
    let mut diagnostics = Diagnostics::default();
    let config = step_options(step, of.node, schema, &scope, Unknowns::Allow, &mut diagnostics);
    if let Some(why) = called(&functions) {
        return Err(why);
    }
    if let Some(option) = config.unknown().next() {
        return Err(format!("{option} is known only while the build runs"));
    }
    match diagnostics.has_errors() {
        true => Err("its options cannot be evaluated before it runs".into()),
        false => Ok(config),
    }
}

/// An option as text, with what is rendered while the step runs as it will be, but for the names of
/// temporary files.
fn text(
    of: &BuildContext,
    schema: &Schema,
    option: &str,
    value: &OptionValue,
) -> Result<String, Reason> {
    let late = schema.get(option).is_some_and(|spec| spec.rendered_late);
    let plain = value.known().unwrap_or_default().to_string();
    let Some(template) = value.as_str().filter(|text| late && text.contains("{{")) else {
        return Ok(plain);
    };
    let names = json!({ "Path": "<Path>", "Vars": "<Vars>", "EnvVarFile": "<EnvVarFile>" });
    let rendered = of.prepare.render(template, &names);
    let rendered = rendered.map_err(|_| format!("{option} cannot be rendered before it runs"))?;
    Ok(json!([plain, rendered]).to_string())
}

/// Reads the files and hashes all parts.
///
/// # Errors
/// Why a file cannot be read; or the build is cancelled.
pub(super) async fn inputs(
    ctx: &RunContext,
    secret: &Secret,
    description: Description,
) -> Result<Inputs> {
    let Description { parts, files } = description;
    let mut inputs: Inputs = Vec::with_capacity(parts.len() + files.len());
    inputs.extend(parts.into_iter().map(|(name, text)| {
        let hash = secret.hash([name.as_bytes(), text.as_bytes()]);
        (name, hash)
    }));
    let paths: Vec<_> = files.iter().map(|(_, file)| file.path.clone().into()).collect();
    let reader = Reader::new(ctx, "Looking for changed files", &paths);
    let read = blocking(ctx, move |stop| {
        let mut contents = Contents::new(reader, stop);
        files
            .into_iter()
            .map(|(option, file)| Ok((contents.of(&file)?, option, file)))
            .collect::<Result<Vec<(StateKey, String, LocalFile)>>>()
    });
    inputs.extend(read.await?.into_iter().map(|(key, option, file)| {
        let hash = secret.hash([option.as_bytes(), key.as_str().as_bytes()]);
        (file.path, hash)
    }));
    Ok(inputs)
}
