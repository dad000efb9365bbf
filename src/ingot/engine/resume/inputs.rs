//! What a build is made of: digests of its options and of the files they name, never the values.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ingot_hcl::diagnostic::Diagnostics;
use ingot_hcl::{Scope, Unknowns, Value};
use ingot_sdk::hash::Sha256;
use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{Config, OptionValue, PrepareContext, Schema, StateKey};
use serde::{Deserialize, Serialize};

use crate::engine::blocks::step_options;
use crate::engine::build_values::BuildValues;
use crate::engine::inputs::PluginOptions;
use crate::engine::journal;
use crate::engine::prepare::{run_names, source_names};
use crate::engine::project::{Project, Reproducible};
use crate::graph::Node;
use crate::template::dynamic::Part;
use crate::template::options::{self, Given};
use crate::template::steps::Step;
use crate::template::uses::Uses;

/// Of files that are larger, in bytes, length and time stand for the contents.
const LARGE_FILE: u64 = 256 << 20;
/// Of how many files of a directory the contents are read; of more, length and time stand for them.
const MOST_FILES: usize = 10_000;
/// What stands for a secret in the name of a file.
const SECRET: &str = "<sensitive>";

/// Digests by a name.
type Digests = BTreeMap<String, String>;

/// What a build was made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::engine) struct Inputs {
    /// Goes into every digest, so that a digest says nothing to who does not have the record.
    pub salt: String,
    /// The source's options.
    pub source: Digests,
    /// The files that they name.
    pub source_files: Digests,
    /// The template's input variables.
    pub variables: Digests,
    /// The provisioners that apply, in order.
    pub provisioners: Vec<StepInputs>,
    /// The post-processors that apply, in order.
    pub post_processors: Vec<StepInputs>,
}

/// What a step was made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::engine) struct StepInputs {
    /// Its type.
    pub kind: String,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Where it stands in the template.
    pub place: String,
    /// Its options.
    pub options: Digests,
    /// The files that its options name.
    pub files: Digests,
}

impl StepInputs {
    /// For people: type, and name if there is one.
    pub(super) fn describe(&self) -> String {
        match self.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => format!("{} {name:?}", self.kind),
            None => self.kind.clone(),
        }
    }

    /// Whether another one does the same.
    pub(super) fn is_same(&self, other: &StepInputs) -> bool {
        (&self.kind, &self.options, &self.files) == (&other.kind, &other.options, &other.files)
    }
}

/// What inputs are read from: the template, and what its blocks see in every run.
pub(in crate::engine) struct Seen<'a> {
    /// The template.
    pub project: &'a Project,
    /// So that times and random values are no change.
    pub reproducible: &'a Reproducible,
}

impl Inputs {
    /// What `node` is made of now. Digests can be compared if they are made with one `salt`; there
    /// is a new one if none is given. Reads the files that it names; blocks.
    pub(in crate::engine) fn of(
        seen: &Seen,
        node: &Node,
        values: &BuildValues,
        context: &PrepareContext,
        salt: Option<&str>,
    ) -> Inputs {
        let (project, reproducible) = (seen.project, seen.reproducible);
        let salt = salt.map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned);
        let plugins = &project.plugins;
        let scope = Scope::new(reproducible.names.clone(), &reproducible.functions);
        let open = scope.with(run_names(node, values.before()));
        let named = scope.with(run_names(node, values.placeholders()));
        let survey = Survey {
            project,
            node,
            names: &reproducible.names,
            open: &open,
            named: &named,
            interpolation: Interpolation::new(context),
            salt,
        };
        let variables = reproducible.names.get("var").and_then(Value::as_entries);
        let variables = variables.into_iter().flatten();
        let variables =
            variables.map(|(name, value)| (name.clone(), survey.digest(&format!("{value:?}"))));
        let variables = variables.collect();
        let steps = node.provisioners.iter();
        let provisioners = steps.map(|step| {
            let plugin = plugins.provisioners.get(step.block.label(0));
            survey.step(step, plugin.map(|plugin| plugin.schema()))
        });
        let provisioners: Vec<StepInputs> = provisioners.collect();
        let steps = node.pipelines.iter().flatten();
        let post_processors = steps.map(|step| {
            let plugin = plugins.post_processors.get(step.block.label(0));
            survey.step(step, plugin.map(|plugin| plugin.schema()))
        });
        let post_processors: Vec<StepInputs> = post_processors.collect();
        let (all, own) = (&plugins.builders, &project.built_in.builders);
        let source = PluginOptions::of(&node.ty, all, own).map(|plugin| {
            let parts: Vec<&Part> = node.parts.iter().collect();
            let given = Given { parts: &parts, overrides: None, header: node.header };
            let scope = scope.with(source_names(node));
            let (schema, ignored) = (&plugin.schema, &mut Diagnostics::default());
            let config = options::evaluate(given, schema, &[], &scope, Unknowns::Allow, ignored);
            let steps = provisioners.iter().chain(&post_processors);
            (survey.options(&config, &config, &parts), survey.source_files(&plugin, &config, steps))
        });
        let (source, source_files) = source.unwrap_or_default();
        let salt = survey.salt;
        Inputs { salt, source, source_files, variables, provisioners, post_processors }
    }
}

/// What looking at a node needs.
struct Survey<'a> {
    project: &'a Project,
    node: &'a Node,
    /// `var`, `local` and `data`, the same in each run.
    names: &'a BTreeMap<String, Value>,
    /// What steps see, with `build.*` unknown.
    open: &'a Scope<'a>,
    /// The same, with its own name for each value of `build.*`.
    named: &'a Scope<'a>,
    interpolation: Interpolation<'a>,
    salt: String,
}

impl Survey<'_> {
    fn digest(&self, text: &str) -> String {
        StateKey::of(&self.salt, [text]).to_string()
    }

    fn step(&self, step: &Step, schema: Option<Schema>) -> StepInputs {
        let place = self.project.place(step.block.header);
        let mut inputs = StepInputs {
            kind: step.block.label(0).to_owned(),
            name: step.name.clone(),
            place: format!("{}:{}:{}", place.file, place.line, place.column),
            options: Digests::new(),
            files: Digests::new(),
        };
        let Some(schema) = schema else { return inputs };
        let config = |scope: &Scope| {
            // What is wrong was reported when the block was checked.
            let ignored = &mut Diagnostics::default();
            step_options(step, self.node, &schema, scope, Unknowns::Allow, ignored)
        };
        let (open, named) = (config(self.open), config(self.named));
        inputs.options = self.options(&open, &named, &[&step.part()]);
        for (name, value) in named.values() {
            if !is_remote(name) {
                self.files(value, &mut inputs.files);
            }
        }
        inputs
    }

    /// Digests of options. What only the run knows of one stands there by its name, or, where it
    /// cannot, by the expression and the values that it uses.
    fn options(&self, open: &Config, named: &Config, parts: &[&Part]) -> Digests {
        let digest = |(name, value): (&String, &OptionValue)| {
            let named = named.get(name).filter(|value| value.is_wholly_known());
            let text = match named {
                Some(value) => format!("{value:?}"),
                None => {
                    let mut text = format!("{value:?}");
                    for part in parts {
                        self.expressions(part, name, &mut text);
                    }
                    text
                }
            };
            (name.clone(), self.digest(&text))
        };
        open.values().iter().map(digest).collect()
    }

    /// Adds what a body says of an option, as it is written, and the values that this uses.
    fn expressions(&self, part: &Part, name: &str, text: &mut String) {
        let (sources, template) = (&self.project.sources, &self.project.template);
        for option in [name, "override"] {
            if let Some(attribute) = part.body.attribute(option) {
                text.push_str(sources.text(attribute.expr.span));
                self.used(&Uses::of_expression(template, &attribute.expr), text);
            }
        }
        for block in &part.body.blocks {
            if block.kind == name || block.label(0) == name {
                text.push_str(sources.text(block.body.span));
                self.used(&Uses::of(template, [&block.body]), text);
            }
        }
    }

    /// Adds the values of what expressions use.
    fn used(&self, uses: &Uses, text: &mut String) {
        let entries = |of: &str| self.names.get(of).and_then(Value::as_entries);
        for (name, value) in entries("var").into_iter().flatten() {
            if uses.all_variables || uses.variables.contains(name) {
                text.push_str(&format!("\nvar.{name} = {value:?}"));
            }
        }
        for (name, value) in entries("local").into_iter().flatten() {
            if uses.locals.contains(name) {
                text.push_str(&format!("\nlocal.{name} = {value:?}"));
            }
        }
        for (ty, name) in &uses.data {
            let value = entries("data").and_then(|data| data.get(ty)?.as_entries()?.get(name));
            text.push_str(&format!("\ndata.{ty}.{name} = {value:?}"));
        }
    }

    /// The files that a source's options name, without the template's own and those that `steps`
    /// name, which are looked at by themselves: a directory that the source names may hold them all.
    fn source_files<'s>(
        &self,
        plugin: &PluginOptions,
        config: &Config,
        steps: impl Iterator<Item = &'s StepInputs>,
    ) -> Digests {
        let values = config.values().iter();
        let rendered = values.map(|(name, value)| (name.clone(), self.rendered(value)));
        let rendered = Config::new(rendered);
        let real = |path: &str| std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let files = steps.flat_map(|step| step.files.keys()).map(String::as_str);
        let others: BTreeSet<PathBuf> =
            files.chain(self.project.sources.names()).map(real).collect();
        let mut files = Digests::new();
        for (_, path) in plugin.local_files(&rendered) {
            self.file(&path, &mut files);
        }
        // Commits are no change of what is built.
        let in_git = |path: &str| Path::new(path).components().any(|c| c.as_os_str() == ".git");
        files.retain(|path, _| !others.contains(&real(path)) && !in_git(path));
        files
    }

    /// A value with `{{ }}` filled in, and secrets as plain strings.
    fn rendered(&self, value: &OptionValue) -> OptionValue {
        match value {
            OptionValue::String(text) | OptionValue::Secret(text) => {
                OptionValue::String(self.path(text))
            }
            OptionValue::List(items) => {
                OptionValue::List(items.iter().map(|item| self.rendered(item)).collect())
            }
            OptionValue::Map(entries) => {
                let entries = entries.iter();
                let rendered = entries.map(|(name, value)| (name.clone(), self.rendered(value)));
                OptionValue::Map(rendered.collect())
            }
            other => other.clone(),
        }
    }

    /// What `{{ template_dir }}/install.sh` comes to.
    fn path(&self, text: &str) -> String {
        let rendered = match text.contains("{{") {
            true => self.interpolation.render(text, &serde_json::Value::Null).ok(),
            false => None,
        };
        rendered.unwrap_or_else(|| text.to_owned())
    }

    /// Adds the files that a value names, if it names some.
    fn files(&self, value: &OptionValue, files: &mut Digests) {
        match value {
            OptionValue::String(text) | OptionValue::Secret(text) => {
                self.file(&self.path(text), files);
            }
            OptionValue::List(items) => items.iter().for_each(|item| self.files(item, files)),
            OptionValue::Map(entries) => {
                let local = entries.iter().filter(|(name, _)| !is_remote(name));
                local.for_each(|(_, value)| self.files(value, files));
            }
            _ => {}
        }
    }

    fn file(&self, text: &str, files: &mut Digests) {
        // Paths are short, and no scripts.
        if text.is_empty() || text.len() > 4096 || text.contains(['\n', '\0']) {
            return;
        }
        let path = Path::new(text);
        let Ok(found) = std::fs::metadata(path) else { return };
        if found.is_file() {
            files.insert(self.shown(path), self.contents(path, true));
        } else if found.is_dir() {
            self.directory(path, files);
        }
    }

    /// Adds all that is below a directory. What cannot be looked at stands there by the reason.
    fn directory(&self, root: &Path, files: &mut Digests) {
        let own = |found: &std::fs::Metadata| (found.dev(), found.ino());
        // Links may lead in circles, and what Ingot writes down itself is no input.
        let state = std::fs::metadata(journal::directory()).ok();
        let mut known: BTreeSet<(u64, u64)> = state.iter().map(own).collect();
        let mut waiting = vec![root.to_owned()];
        let mut count = 0;
        while let Some(directory) = waiting.pop() {
            let entries: std::io::Result<Vec<_>> =
                std::fs::metadata(&directory).and_then(|found| match known.insert(own(&found)) {
                    true => std::fs::read_dir(&directory)?.collect(),
                    false => Ok(Vec::new()),
                });
            let entries: Vec<std::fs::DirEntry> = match entries {
                Ok(entries) => entries,
                Err(error) => {
                    files.insert(self.shown(&directory), self.digest(&error.to_string()));
                    continue;
                }
            };
            for path in entries.into_iter().map(|entry| entry.path()) {
                match std::fs::metadata(&path) {
                    Ok(found) if found.is_dir() => waiting.push(path),
                    Ok(found) if found.is_file() => {
                        count += 1;
                        let digest = self.contents(&path, count <= MOST_FILES);
                        files.insert(self.shown(&path), digest);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        let target = std::fs::read_link(&path);
                        let text = format!("{error} {target:?}");
                        files.insert(self.shown(&path), self.digest(&text));
                    }
                }
            }
        }
    }

    /// A path as it is written down: without secrets.
    fn shown(&self, path: &Path) -> String {
        let mut text = path.display().to_string();
        for secret in self.project.secrets().all() {
            if !secret.is_empty() && text.contains(&secret) {
                text = text.replace(&secret, SECRET);
            }
        }
        text
    }

    /// A digest of a file's contents and mode; of its length and time where it is not to be read.
    fn contents(&self, path: &Path, read: bool) -> String {
        let sum = || -> std::io::Result<String> {
            let mut file = std::fs::File::open(path)?;
            let found = file.metadata()?;
            let mode = found.mode();
            if !read || found.len() > LARGE_FILE {
                return Ok(format!("{mode} {} {:?}", found.len(), found.modified()?));
            }
            let mut hash = Sha256::new();
            std::io::copy(&mut file, &mut hash)?;
            Ok(format!("{mode} {}", hash.finish()))
        };
        self.digest(&sum().unwrap_or_else(|error| error.to_string()))
    }
}

/// Whether an option is of a path on the machine, which may be the name of a file here too.
fn is_remote(option: &str) -> bool {
    ["destination", "remote_", "inline", "execute_command", "staging_", "environment_vars"]
        .iter()
        .any(|remote| option.starts_with(remote))
}

/// How options' names are shown: in quotes, with commas.
pub(super) fn shown<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Which entries of two sets of digests are not the same, by name.
pub(super) fn different<'a>(before: &'a Digests, now: &'a Digests) -> Vec<&'a str> {
    let mut names: Vec<&str> = before.keys().chain(now.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|&name| before.get(name) != now.get(name));
    names
}
