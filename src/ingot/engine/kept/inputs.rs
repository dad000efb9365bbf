//! What a build is made of: digests of its options and of the files they name, never the values.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use ingot_hcl::diagnostic::Diagnostics;
use ingot_hcl::{Scope, Unknowns, Value};
use ingot_sdk::hash::{hasher, hex};
use ingot_sdk::walk::{self, What};
use ingot_sdk::{Config, OptionValue, Schema, StateKey};
use serde::{Deserialize, Serialize};

use crate::engine::blocks::overrides;
use crate::engine::build_values::BuildValues;
use crate::engine::prepare::{run_names, source_names};
use crate::engine::project::Project;
use crate::graph::Node;
use crate::template::builds::Part;
use crate::template::options::{self, Given};
use crate::template::steps::Step;

/// Of files that are larger, in bytes, length and time stand for the contents.
const LARGE_FILE: u64 = 256 << 20;
/// How many files of a directory are looked at.
const MOST_FILES: usize = 10_000;

/// Digests by a name.
type Digests = BTreeMap<String, String>;

/// What a build was made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::engine) struct Inputs {
    /// Goes into every digest, so that a digest says nothing to who does not have the record.
    pub salt: String,
    /// The source's options.
    pub source: Digests,
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

impl Inputs {
    /// What `node` is made of now. Digests can be compared if they are made with one `salt`; there
    /// is a new one if none is given.
    pub(in crate::engine) fn of(
        project: &Project,
        node: &Node,
        values: &BuildValues,
        salt: Option<&str>,
    ) -> Inputs {
        let salt = salt.map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned);
        let plugins = &project.plugins;
        let scope = project.scope();
        let before = scope.with(run_names(node, values.before()));
        let survey = Survey { project, node, scope: &before, salt };
        let source = plugins.builders.get(&node.ty).map(|builder| {
            let parts: Vec<&Part> = node.parts.iter().collect();
            let given = Given { parts: &parts, overrides: None, header: node.header };
            let scope = scope.with(source_names(node));
            let config = survey.config(given, &builder.schema(), &[], &scope);
            survey.options(&config, given)
        });
        let variables = project.names.get("var").and_then(Value::as_entries);
        let variables = variables.into_iter().flatten();
        let variables =
            variables.map(|(name, value)| (name.clone(), survey.digest(&format!("{value:?}"))));
        let variables = variables.collect();
        let steps = node.provisioners.iter();
        let provisioners = steps.map(|step| {
            let plugin = plugins.provisioners.get(step.block.label(0));
            survey.step(step, plugin.map(|plugin| plugin.schema()))
        });
        let provisioners = provisioners.collect();
        let steps = node.pipelines.iter().flatten();
        let post_processors = steps.map(|step| {
            let plugin = plugins.post_processors.get(step.block.label(0));
            survey.step(step, plugin.map(|plugin| plugin.schema()))
        });
        let post_processors = post_processors.collect();
        let source = source.unwrap_or_default();
        Inputs { salt: survey.salt, source, variables, provisioners, post_processors }
    }
}

/// What looking at a node needs.
struct Survey<'a> {
    project: &'a Project,
    node: &'a Node,
    scope: &'a Scope<'a>,
    salt: String,
}

impl Survey<'_> {
    fn digest(&self, text: &str) -> String {
        StateKey::of(&self.salt, [text]).to_string()
    }

    /// A block's options as far as they are known.
    fn config(&self, given: Given, schema: &Schema, reserved: &[&str], scope: &Scope) -> Config {
        // What is wrong was reported when the block was checked.
        let mut found = Diagnostics::default();
        let unknowns = Unknowns::Allow;
        options::evaluate(given, schema, reserved, scope, unknowns, &mut found)
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
        let mut ignored = Diagnostics::default();
        let part = step.part();
        let overrides = overrides(step, self.node, self.scope, &mut ignored);
        let parts = &[&part][..];
        let given = Given { parts, overrides: overrides.as_ref(), header: step.block.header };
        let config = self.config(given, &schema, step.own_options, self.scope);
        inputs.options = self.options(&config, given);
        for (name, value) in config.values() {
            if !is_remote(name) {
                self.files(value, &mut inputs.files);
            }
        }
        inputs
    }

    /// Digests of options. What is not known before the run stands there by its expression.
    fn options(&self, config: &Config, given: Given) -> Digests {
        let digest = |(name, value): (&String, &OptionValue)| {
            let mut text = format!("{value:?}");
            if !value.is_wholly_known() {
                for part in given.parts {
                    self.expressions(part, name, &mut text);
                }
            }
            (name.clone(), self.digest(&text))
        };
        config.values().iter().map(digest).collect()
    }

    /// Adds what a body says of an option, as it is written.
    fn expressions(&self, part: &Part, name: &str, text: &mut String) {
        let sources = &self.project.sources;
        for option in [name, "override"] {
            if let Some(attribute) = part.body.attribute(option) {
                text.push_str(sources.text(attribute.expr.span));
            }
        }
        for block in &part.body.blocks {
            if block.kind == name || block.label(0) == name {
                text.push_str(sources.text(block.body.span));
            }
        }
    }

    /// Adds the files that a value names, if it names some.
    fn files(&self, value: &OptionValue, files: &mut Digests) {
        match value {
            OptionValue::String(text) | OptionValue::Secret(text) => self.file(text, files),
            OptionValue::List(items) => items.iter().for_each(|item| self.files(item, files)),
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
            files.insert(text.to_owned(), self.contents(path));
        } else if found.is_dir() {
            let tree = walk::tree(path).unwrap_or_default();
            for entry in tree.iter().filter(|entry| entry.what == What::File).take(MOST_FILES) {
                let shown = entry.path.display().to_string();
                files.insert(shown, self.contents(&entry.path));
            }
        }
    }

    /// A digest of a file's contents and mode.
    fn contents(&self, path: &Path) -> String {
        let sum = || -> std::io::Result<String> {
            let mut file = std::fs::File::open(path)?;
            let found = file.metadata()?;
            let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions());
            if found.len() > LARGE_FILE {
                return Ok(format!("{mode} {} {:?}", found.len(), found.modified()?));
            }
            let Some(mut hash) = hasher("sha256") else { return Ok(String::new()) };
            let mut buffer = vec![0; 64 << 10];
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    length => hash.update(&buffer[..length]),
                }
            }
            Ok(format!("{mode} {}", hex(&hash.finalize())))
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
