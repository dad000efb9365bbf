//! A template with its values: what all nodes of a run share.

mod contexts;
mod empty;
mod published;
mod reproducible;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ingot_sdk::{Facts, PluginSet, PrepareContext, Secrets, TemplatePlace, Ui, UserVariable};
use ingot_template::variables::{self, VariableFlag, VariableInputs, VariableValues};
use ingot_template::{
    Build, Companion, RegistryBlock, Template, builds, companion, legacy, load, locals_and_data,
    siblings,
};

pub use contexts::RunFlags;
pub use published::Enforced;
use published::packer;
pub(super) use reproducible::{Compared, Reproducible};

use super::data::DataSources;
#[cfg(feature = "plugin-host")]
use super::installed::InstalledPlugins;
use crate::graph::{Filter, Node};
use ingot_hcl::ast::{Block, Body};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::functions::{FoundSecret, FunctionContext, SecretSink};
use ingot_hcl::source::{SourceMap, Span};
use ingot_hcl::types::Type;
use ingot_hcl::{Scope, Unknowns, Value};

/// What the command line says about reading a template.
#[derive(Clone, Default)]
pub struct ProjectOptions {
    /// What can be built with.
    pub plugins: PluginSet,
    /// `-var` and `-var-file`, in order.
    pub variables: Vec<VariableFlag>,
    /// Whether to warn of values for variables that are not declared.
    pub warn_undeclared: bool,
    /// Only parse, and read the values of variables.
    pub syntax_only: bool,
    /// Take variables without a value, and with values that they refuse: for looking at a
    /// template.
    pub lenient: bool,
    /// Pass over pre-releases of plugins that are programs of their own.
    pub releases_only: bool,
    /// When the run counts as started; now if none. A run that goes on with an earlier one sees its
    /// time, so that names with a timestamp stay what they are.
    pub started: Option<time::OffsetDateTime>,
    /// Where data sources that are fetched speak, and the stores that functions read from. Without
    /// it none is asked, and their values are unknown.
    pub fetch_data: Option<Ui>,
    /// Where data sources that read the registry of images speak, where only they are fetched.
    pub registry_data: Option<Ui>,
}

/// A template with its values.
pub struct Project {
    /// The texts that were read.
    pub sources: SourceMap,
    /// The template's blocks.
    pub template: Template,
    /// Its build blocks, evaluated.
    pub builds: Vec<Build>,
    /// Its registry block outside of builds, evaluated.
    pub registry: Option<RegistryBlock>,
    /// What its companion files say, evaluated.
    pub companion: Companion,
    /// The companion files, parsed.
    companions: Vec<Body>,
    /// Whether all files could be parsed; nothing is evaluated otherwise.
    pub readable: bool,
    /// Whether its blocks and the values of its variables are in order, whatever comes of
    /// evaluating the rest. Variables may lack a value, or refuse theirs.
    pub sound: bool,
    /// Whether all locals and data sources could be evaluated.
    pub evaluated: bool,
    /// The template's file, if it was given as a single one of its directory.
    pub file: Option<PathBuf>,
    /// The files of variables that are read unasked.
    auto_variables: Vec<PathBuf>,
    /// Where the values of variables come from.
    variable_inputs: VariableInputs,
    /// `var`, `local` and the other names that all blocks see.
    pub names: BTreeMap<String, Value>,
    /// What functions know.
    pub functions: FunctionContext,
    /// What can be built with.
    pub plugins: PluginSet,
    /// What is part of Ingot, also where an installed plugin takes its place.
    pub(super) built_in: PluginSet,
    /// What must never be shown.
    secrets: Secrets,
    /// An id of this run.
    pub run_uuid: String,
    /// Whether pre-releases of plugins are skipped.
    #[cfg(feature = "plugin-host")]
    releases_only: bool,
    /// The input variables that are strings, gathered once for all builds.
    user_variables: OnceLock<Arc<BTreeMap<String, UserVariable>>>,
    /// Those that the environment sets, as plugins see them.
    environment_variables: Arc<BTreeMap<String, Option<String>>>,
}

impl Project {
    /// Reads a template's files. Nothing is evaluated, and nothing asked over a network, before
    /// [`Project::evaluate`]. Always yields a project, so that its diagnostics can be shown against
    /// its texts.
    pub fn load(path: &Path, options: &ProjectOptions, diagnostics: &mut Diagnostics) -> Project {
        let mut sources = SourceMap::default();
        let files = diagnostics.keep(load::find(path));
        let found = files.is_some();
        let files = files.unwrap_or_default();
        let bodies = load::parse(&files, &mut sources, diagnostics);
        let legacy = files.legacy.as_ref();
        let legacy = legacy.and_then(|path| load::parse_legacy(path, &mut sources, diagnostics));
        let companions = load::parse_companions(&files, &mut sources, diagnostics);
        // Values of a template that could only be read in part would be wrong in many ways.
        let readable = found && !diagnostics.has_errors();
        let template = match legacy {
            Some(legacy) => {
                if !options.syntax_only && !options.lenient {
                    legacy::check(&legacy, diagnostics);
                }
                Template::of_legacy(files.dir.clone(), legacy)
            }
            None => Template::collect(files.dir.clone(), bodies, diagnostics),
        };
        let mut project = Project {
            sources,
            template,
            companions,
            readable,
            sound: false,
            evaluated: false,
            plugins: options.plugins.clone(),
            built_in: options.plugins.clone(),
            run_uuid: uuid::Uuid::new_v4().to_string(),
            #[cfg(feature = "plugin-host")]
            releases_only: options.releases_only,
            ..Project::without_template(options.fetch_data.as_ref(), &options.plugins)
        };
        project.functions.base_dir.clone_from(&files.dir);
        if let Some(started) = options.started {
            project.functions.start = started;
        }
        project.file = files.templates.first().filter(|file| *file == path).cloned();
        #[cfg(feature = "plugin-host")]
        InstalledPlugins::preferred(&mut project.plugins, diagnostics);
        project.check_plugins(diagnostics);
        for required in &project.template.required_plugins {
            project.plugins.also_as(&required.source, &required.name);
            project.built_in.also_as(&required.source, &required.name);
        }
        project.auto_variables = files.auto_variables;
        project
    }

    /// Gives variables, data sources and locals their values, and evaluates builds with them. Data
    /// sources are asked, over the network, if [`ProjectOptions::fetch_data`] says so.
    pub fn evaluate(&mut self, options: &ProjectOptions, diagnostics: &mut Diagnostics) {
        if self.readable {
            self.evaluate_blocks(options, diagnostics);
        }
        self.point_to_siblings(diagnostics);
    }

    /// Whether the template could be read, be it right or not.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Says of what is missing in a single file where beside it it is declared, and of options of
    /// old versions what replaces them.
    pub(super) fn point_to_siblings(&self, diagnostics: &mut Diagnostics) {
        if let Some(file) = &self.file {
            siblings::point_to(file, diagnostics);
        }
        if let Some(legacy) = &self.template.legacy {
            legacy::point_to_fixes(legacy, diagnostics);
        }
    }

    fn evaluate_blocks(&mut self, options: &ProjectOptions, diagnostics: &mut Diagnostics) {
        self.variable_inputs = VariableInputs {
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    let name = name.to_str()?.strip_prefix("PKR_VAR_")?.to_owned();
                    // Templates are text: what is not UTF-8 in a value becomes U+FFFD.
                    Some((name, value.to_string_lossy().into_owned()))
                })
                .collect(),
            files: self.auto_variables.clone(),
            flags: options.variables.clone(),
            warn_undeclared: options.warn_undeclared,
            check: !options.syntax_only && !options.lenient,
        };
        let context = self.context_of_variables();
        let mut sources = std::mem::take(&mut self.sources);
        let VariableValues { values, in_environment, refused } =
            self.variable_values(&mut sources, &self.functions, &context, diagnostics);
        self.sources = sources;
        self.sound = !diagnostics.has_errors();
        diagnostics.extend(refused);
        if options.syntax_only {
            return;
        }
        secrets_of(values.values()).iter().for_each(|secret| self.secrets.add_lines(secret));
        if let Some(ui) = options.fetch_data.as_ref().or(options.registry_data.as_ref()) {
            self.secrets.hide_in(ui);
        }
        diagnostics.extend(self.template.late.iter().cloned());
        let directory = |path: PathBuf| Value::from(path.to_string_lossy().into_owned());
        let text = |pairs: Vec<(&str, Value)>| {
            Value::object(pairs.into_iter().map(|(name, v)| (name.to_owned(), v)).collect())
        };
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        // As the user gave it, not made absolute, as in Packer.
        let root = self.template.dir.clone();
        self.environment_variables = contexts::environment_variables(&values, &in_environment);
        self.names.insert("var".into(), Value::object(values));
        self.names
            .insert("path".into(), text(vec![("cwd", directory(cwd)), ("root", directory(root))]));
        let later = || Value::unknown(Type::String);
        self.names.insert("packer".into(), packer(later(), later()));
        // Each block of a build sets their values; `source` is nothing before.
        let nothing = Type::Object(BTreeMap::new());
        self.names.insert("build".into(), Value::unknown(nothing));
        #[cfg(feature = "plugin-host")]
        let mut installed = InstalledPlugins::new(
            &self.template,
            &self.run_uuid,
            options.releases_only,
            diagnostics,
        );
        let errors = diagnostics.errors();
        #[cfg(feature = "plugin-host")]
        {
            installed.add_data_sources(&self.template, &mut self.plugins, diagnostics);
            installed.mark_unavailable(&mut self.template.required_plugins);
        }
        let scope = Scope::new(self.names.clone(), &self.functions);
        let mut fetch = DataSources {
            plugins: &self.plugins,
            context: self.context_without_node(&RunFlags::default()),
            required: &self.template.required_plugins,
            ui: options.fetch_data.as_ref(),
            registry_ui: options.registry_data.as_ref(),
            runtime: None,
        };
        let values = locals_and_data::evaluate(&self.template, &scope, &mut fetch, diagnostics);
        self.evaluated = diagnostics.errors() == errors;
        self.add_secrets(values.values());
        self.names.extend(values);
        let scope = Scope::new(self.names.clone(), &self.functions);
        let unknowns = match options.fetch_data {
            Some(_) => Unknowns::Refuse,
            None => Unknowns::Allow,
        };
        // What the builds are published as is not known yet, which may matter in steps.
        let unknowns_in_steps = [unknowns, Unknowns::Allow];
        self.builds = self.evaluated_builds(&scope, unknowns_in_steps, diagnostics);
        #[cfg(feature = "plugin-host")]
        {
            installed.add_for_builds(&self.builds, &mut self.plugins, diagnostics);
            installed.add_for_unused_sources(&self.template, &mut self.plugins);
            installed.mark_unavailable(&mut self.template.required_plugins);
        }
        let registries = &self.template.registries;
        self.registry = builds::registry(registries, &scope, unknowns, diagnostics);
        let (bodies, builds) = (&self.companions, &self.builds);
        let unknowns = Unknowns::Allow;
        self.companion = companion::read(bodies, builds, &scope, unknowns, diagnostics);
    }

    /// The values of all variables.
    fn variable_values(
        &self,
        sources: &mut SourceMap,
        functions: &FunctionContext,
        context: &PrepareContext,
        diagnostics: &mut Diagnostics,
    ) -> VariableValues {
        let (template, inputs) = (&self.template, &self.variable_inputs);
        match &template.legacy {
            Some(legacy) => legacy::variables::evaluate(
                legacy,
                inputs,
                sources,
                functions,
                context,
                diagnostics,
            ),
            None => variables::evaluate(template, inputs, sources, functions, diagnostics),
        }
    }

    /// The builds of the template. `unknowns` says what is not to be known in what is for a build
    /// as a whole, and in its steps.
    fn evaluated_builds(
        &self,
        scope: &Scope,
        unknowns: [Unknowns; 2],
        diagnostics: &mut Diagnostics,
    ) -> Vec<Build> {
        match &self.template.legacy {
            Some(legacy) => {
                let context = self.context_without_node(&RunFlags::default());
                vec![legacy::build(legacy, scope, &context, diagnostics)]
            }
            None => builds::evaluate(&self.template.builds, scope, unknowns, diagnostics),
        }
    }

    /// Which builds `-only` and `-except` select.
    ///
    /// # Errors
    /// A pattern is not well-formed; the text says which and why.
    pub fn filter(&self, only: &[String], except: &[String]) -> Result<Filter, Diagnostic> {
        match self.template.legacy {
            Some(_) => Ok(Filter::of_names(only, except)),
            None => Filter::new(only, except).map_err(Diagnostic::error),
        }
    }

    /// Reports what is wrong with locals that are unknown to the last and that `nodes` use.
    pub(super) fn check_locals(&self, nodes: &[Node], diagnostics: &mut Diagnostics) {
        let bodies = nodes.iter().flat_map(|node| {
            let steps = node.provisioners.iter().chain(&node.error_cleanup);
            let steps = steps.chain(node.pipelines.iter().flatten());
            let parts = node.parts.iter().map(|part| &part.body);
            parts.chain(steps.map(|step| &step.block.body))
        });
        locals_and_data::evaluate_again(
            &self.template,
            &self.scope(),
            &self.names,
            bodies,
            diagnostics,
        );
    }

    fn add_secrets<'v>(&self, values: impl IntoIterator<Item = &'v Value>) {
        secrets_of(values).iter().for_each(|secret| self.secrets.add(secret));
    }

    /// Warns where a required plugin is part of this binary in another version.
    fn check_plugins(&self, diagnostics: &mut Diagnostics) {
        for required in &self.template.required_plugins {
            let Some(version) = self.plugins.provided.get(&required.source) else { continue };
            if !required.versions.allow(version) {
                diagnostics.push(
                    Diagnostic::warning(format!(
                        "what Ingot has of the plugin `{}` is that of its version {version}",
                        required.name
                    ))
                    .at(required.span)
                    .label("this asks for another version"),
                );
            }
        }
    }

    /// What the builder called `ty` says of itself; of one that is not there, what suits most.
    pub(super) fn builder_facts(&self, ty: &str) -> Facts {
        self.plugins.builders.get(ty).map(|builder| builder.facts()).unwrap_or_default()
    }

    /// The names that every block sees.
    pub fn scope(&self) -> Scope<'_> {
        Scope::new(self.names.clone(), &self.functions)
    }

    /// A position, for those who do not know the template's texts.
    pub fn place(&self, span: Span) -> TemplatePlace {
        let (line, column) = self.sources.position(span);
        TemplatePlace { file: self.sources.get(span.file).name.clone(), line, column }
    }

    /// What must never be shown: sensitive values, and what was made of them so far.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// How files, blocks and builds are called wherever Ingot shows them. Such a name is shown as
    /// it is, even if it has a secret in it.
    pub fn public_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.sources.names().map(str::to_owned).collect();
        let template = &self.template;
        let blocks = template.sources.values().chain(template.data.values());
        blocks.for_each(|block| add_names(block, &mut names));
        for build in &self.builds {
            for used in &build.sources {
                let id = used.id();
                names.extend(build.name.iter().map(|name| format!("{name}.{id}")));
                names.push(id);
                let steps = &used.steps;
                let steps = steps.provisioners.iter().chain(&steps.error_cleanup);
                let steps = steps.chain(used.steps.post_processors.iter().flatten());
                steps.for_each(|step| add_names(&step.block, &mut names));
            }
        }
        let blocks = self.companions.iter().flat_map(|body| &body.blocks);
        blocks.for_each(|block| add_names(block, &mut names));
        names
    }
}

fn secrets_of<'v>(values: impl IntoIterator<Item = &'v Value>) -> Vec<String> {
    let mut found = Vec::new();
    values.into_iter().for_each(|value| value.secrets(&mut found));
    found
}

/// Puts the secrets that expressions make with the others.
fn sink(secrets: &Secrets) -> SecretSink {
    let secrets = secrets.clone();
    SecretSink::new(move |found| match found {
        FoundSecret::Value(secret) => secrets.add(secret),
        FoundSecret::Lines(secret) => secrets.add_lines(secret),
        FoundSecret::Composed { text, lines } => secrets.add_composed(text, lines),
    })
}

/// A block's labels as messages show them: after its kind, with dots between them, and in quotes.
fn add_names(block: &Block, names: &mut Vec<String>) {
    let labels: Vec<&str> = block.labels.iter().map(|label| label.text.as_str()).collect();
    let quoted: String = labels.iter().map(|label| format!(" \"{label}\"")).collect();
    names.push(format!("{}{quoted}", block.kind));
    names.push(labels.join("."));
    for label in labels {
        names.push(format!("`{label}`"));
        names.push(format!("{}: {label}", block.kind));
    }
}
