//! What a build is made from.

use std::path::{Path, PathBuf};

use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{Config, OptionValue};
use regex::Regex;

use super::block::{BlockInputs, BlockKind, FileInput};
use super::encode::{SecretValues, encode};
use super::files::FileDigests;
use super::options::PluginOptions;
use crate::engine::blocks::step_options;
use crate::engine::prepare::{CheckedNode, run_names};
use crate::engine::project::{Project, Reproducible};
use crate::graph::Node;
use crate::template::dynamic::{Names, Part};
use crate::template::options::{self, Given};
use crate::template::steps::Step;
use crate::template::uses::Uses;
use ingot_hcl::{Diagnostics, Scope, Unknowns, Value, print};

/// What stands for the template's directory, which is elsewhere on each machine.
const TEMPLATE_DIR: &str = "<path.root>";
/// What stands for the working directory.
const WORKING_DIR: &str = "<path.cwd>";

/// What a build is made from: its blocks in order, the source first.
#[derive(Debug, Clone)]
pub struct BuildInputs {
    /// The blocks.
    pub blocks: Vec<BlockInputs>,
}

/// Finds out what the builds of a template are made from.
pub struct InputReader<'a> {
    project: &'a Project,
    reproducible: Reproducible,
    /// The same with texts that stand for the secrets.
    concealed: Reproducible,
    digests: FileDigests,
    /// The template's directory and the working directory, absolute.
    root: PathBuf,
    cwd: PathBuf,
}

/// A block, and how its options are read.
struct Block<'b> {
    kind: BlockKind,
    number: String,
    name: String,
    label: Option<String>,
    given: Given<'b>,
    plugin: PluginOptions,
}

impl<'a> InputReader<'a> {
    /// For the template of `project`, which was evaluated.
    pub fn new(project: &'a Project) -> Self {
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let root = std::path::absolute(&project.template.dir);
        InputReader {
            project,
            reproducible: project.reproducible(),
            concealed: project.concealed(),
            digests: FileDigests::without(project.secrets().all()),
            root: normal(&root.unwrap_or_else(|_| project.template.dir.clone())),
            cwd: normal(&cwd),
        }
    }

    /// What a build is made from. Reads the files that it names; blocks.
    pub fn read<B>(&self, checked: &CheckedNode<B>) -> BuildInputs {
        let node = &*checked.node;
        let (plugins, built_in) = (&self.project.plugins, &self.project.built_in);
        let mut blocks = Vec::new();
        let parts: Vec<&Part> = node.parts.iter().collect();
        let plugin = PluginOptions::of(&node.ty, &plugins.builders, &built_in.builders);
        if let Some(plugin) = plugin {
            let block = Block {
                kind: BlockKind::Source,
                number: String::new(),
                name: node.component.clone(),
                label: None,
                given: Given { parts: &parts, overrides: None, header: node.header },
                plugin,
            };
            blocks.push(self.block(checked, block, None));
        }
        for (index, step) in node.provisioners.iter().enumerate() {
            let (all, own) = (&plugins.provisioners, &built_in.provisioners);
            if let Some(plugin) = PluginOptions::of(step.block.label(0), all, own) {
                let (kind, number) = (BlockKind::Provisioner, (index + 1).to_string());
                blocks.push(self.step(checked, kind, number, step, plugin));
            }
        }
        for (pipeline, steps) in node.pipelines.iter().enumerate() {
            for (index, step) in steps.iter().enumerate() {
                let (all, own) = (&plugins.post_processors, &built_in.post_processors);
                if let Some(plugin) = PluginOptions::of(step.block.label(0), all, own) {
                    let number = format!("{}.{}", pipeline + 1, index + 1);
                    let kind = BlockKind::PostProcessor;
                    blocks.push(self.step(checked, kind, number, step, plugin));
                }
            }
        }
        BuildInputs { blocks }
    }

    fn step<B>(
        &self,
        checked: &CheckedNode<B>,
        kind: BlockKind,
        number: String,
        step: &Step,
        plugin: PluginOptions,
    ) -> BlockInputs {
        let part = step.part();
        let block = Block {
            kind,
            number,
            name: step.block.label(0).to_owned(),
            label: step.name.clone().filter(|name| !name.is_empty()),
            given: Given { parts: &[&part], overrides: None, header: step.block.header },
            plugin,
        };
        self.block(checked, block, Some(step))
    }

    fn block<B>(&self, checked: &CheckedNode<B>, block: Block, step: Option<&Step>) -> BlockInputs {
        let node = &*checked.node;
        let functions = &self.reproducible.functions;
        let scope = Scope::new(self.reproducible.names.clone(), functions);
        let scope = scope.with(run_names(node, checked.values.placeholders()));
        let config = evaluated(&block, step, node, &scope);
        let concealed = self.concealed_options(&block, step, checked);
        let named = block.plugin.local_files(&self.rendered_paths(&config, checked));
        let files = named.into_iter().map(|(option, path)| {
            let digest = self.digests.of(Path::new(&path));
            let executable = is_executable(Path::new(&path));
            let portable = self.digests.masked(self.portable(&path));
            FileInput { option, path, portable, digest, executable }
        });
        let files: Vec<FileInput> = files.collect();
        let read: Vec<&str> = files.iter().map(|file| file.option.as_str()).collect();
        let mut options = Vec::new();
        let mut holds_secret = false;
        let map = |text: &str| self.stable(text);
        for (name, value) in config.values() {
            encode(&OptionValue::String(name.clone()), SecretValues::Omitted, &map, &mut options);
            // Files count by where they are from the template, and by what is in them.
            if read.contains(&name.as_str()) && !has_secret(value) {
                continue;
            }
            let secret = block.plugin.schema.get(name).is_some_and(|option| option.sensitive);
            holds_secret |= secret || has_secret(value);
            let value = match (secret, value) {
                (true, OptionValue::String(text)) => &OptionValue::Secret(text.clone()),
                (true, _) => value,
                // Numbers and truths do not say that they are secret.
                (false, _) if !has_secret(value) => concealed.get(name).unwrap_or(value),
                (false, _) => value,
            };
            encode(value, SecretValues::Omitted, &map, &mut options);
            if !secret && has_secret(value) {
                // What is no secret of it counts: as what it comes to with texts that stand for the
                // secrets, and, where that cannot be evaluated, as how it is written.
                if let Some(value) = concealed.get(name) {
                    encode(value, SecretValues::Included, &map, &mut options);
                }
                self.around_secret(block.given, name, &mut options);
            }
        }
        if step.is_some_and(|step| step.continue_on_error) {
            options.extend(b"continue_on_error");
        }
        if let Some(keep) = step.and_then(|step| step.keep_input_artifact) {
            options.extend(format!("keep_input_artifact {keep}").into_bytes());
        }
        let unknown = config.unknown().map(str::to_owned).collect();
        let scope = self.project.scope();
        let scope = scope.with(run_names(node, checked.values.placeholders()));
        let real = evaluated(&block, step, node, &scope);
        let volatile = real.values().iter().filter(|(name, value)| {
            config.get(name).is_some_and(|other| other != *value) || renders_volatile(value)
        });
        let volatile = volatile.filter(|(_, value)| value.is_wholly_known());
        BlockInputs {
            kind: block.kind,
            number: block.number,
            name: block.name,
            label: block.label,
            base: base(block.kind, &real),
            place: self.project.place(block.given.header),
            options,
            files,
            unknown,
            holds_secret,
            volatile: volatile.map(|(name, _)| name.clone()).collect(),
        }
    }

    /// The options of a block with texts that stand for the secrets in them.
    fn concealed_options<B>(
        &self,
        block: &Block,
        step: Option<&Step>,
        checked: &CheckedNode<B>,
    ) -> Config {
        let node = &*checked.node;
        let names = |names: &Names| -> Names {
            let name = |(name, value): (&String, &Value)| {
                (name.clone(), value.concealed(&format!("<{name}>")))
            };
            names.iter().map(name).collect()
        };
        let parts = block.given.parts.iter();
        let parts: Vec<Part> =
            parts.map(|part| Part { body: part.body.clone(), names: names(&part.names) }).collect();
        let parts: Vec<&Part> = parts.iter().collect();
        let step = step.map(|step| Step { names: names(&step.names), ..step.clone() });
        let scope = Scope::new(self.concealed.names.clone(), &self.concealed.functions);
        let scope = scope.with(run_names(node, checked.values.placeholders()));
        let given = Given { parts: &parts, ..block.given };
        options_of(given, block, step.as_ref(), node, &scope)
    }

    /// The parts of an option with a secret that are not secret, such as of
    /// `"${var.name}:${var.password}"`: how it is written, and its other values.
    fn around_secret(&self, given: Given, option: &str, options: &mut Vec<u8>) {
        let mut parts = given.parts.iter();
        let Some(attribute) = parts.find_map(|part| part.body.attribute(option)) else { return };
        let template = &self.project.template;
        let uses = Uses::of_expression(template, &attribute.expr);
        let text = |span| self.digests.masked(self.project.sources.text(span).to_owned());
        let mut texts = vec![text(attribute.expr.span)];
        let locals = uses.locals.iter().filter_map(|name| template.locals.get(name)?.expr.as_ref());
        texts.extend(locals.map(|expr| text(expr.span)));
        let entries = |of: &str| self.reproducible.names.get(of).and_then(Value::as_entries);
        let mut add = |name: &str, value: &Value| {
            if !value.holds_secret() {
                let value = format!("{name} = {}", print::quoted(value));
                texts.push(self.stable(&value));
            }
        };
        for (name, value) in entries("var").into_iter().flatten() {
            if uses.all_variables || uses.variables.contains(name) {
                add(name, value);
            }
        }
        for (ty, name) in &uses.data {
            let value = entries("data").and_then(|data| data.get(ty)?.as_entries()?.get(name));
            let values = value.and_then(Value::as_entries).into_iter().flatten();
            values.for_each(|(name, value)| add(name, value));
        }
        let texts = texts.into_iter().map(OptionValue::String).collect();
        let plain = |text: &str| text.to_owned();
        encode(&OptionValue::List(texts), SecretValues::Omitted, &plain, options);
    }

    /// The options with `{{ }}` filled in where they name files: `{{ template_dir }}/install.sh`.
    fn rendered_paths<B>(&self, config: &Config, checked: &CheckedNode<B>) -> Config {
        let interpolation = Interpolation::new(&checked.context);
        let values = config.values().iter();
        Config::new(values.map(|(name, value)| {
            let render = |text: &str| {
                let rendered = interpolation.render(text, &serde_json::Value::Null);
                rendered.unwrap_or_else(|_| text.to_owned())
            };
            (name.clone(), rendered(value, &render))
        }))
    }

    /// A path, from the template's directory or the working directory if it is below one.
    fn portable(&self, path: &str) -> String {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        let absolute = normal(&absolute);
        for (directory, stands_for) in [(&self.root, TEMPLATE_DIR), (&self.cwd, WORKING_DIR)] {
            if let Ok(rest) = absolute.strip_prefix(directory) {
                return format!("{stands_for}/{}", rest.display());
            }
        }
        absolute.display().to_string()
    }

    /// A text without what is different on each machine though the template is the same, and without
    /// secrets.
    fn stable(&self, text: &str) -> String {
        let given = self.project.template.dir.to_string_lossy().into_owned();
        let root = self.root.to_string_lossy().into_owned();
        let start = |directory: &str| {
            let rest = text.strip_prefix(directory)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{TEMPLATE_DIR}{rest}"))
        };
        let own = start(&given).filter(|_| given != ".." && !given.is_empty());
        let text = own.or_else(|| start(&root)).unwrap_or_else(|| text.to_owned());
        // In the middle of a text only a whole path can be recognized.
        let text = match root.len() > 1 {
            true => text.replace(&format!("{root}/"), &format!("{TEMPLATE_DIR}/")),
            false => text,
        };
        self.digests.masked(self.with_user_variables(text))
    }

    /// In legacy JSON templates options mention variables as `{{ user }}`, which are filled
    /// in later: what they are belongs to the text.
    fn with_user_variables(&self, mut text: String) -> String {
        if self.project.template.legacy.is_none() || !text.contains("{{") {
            return text;
        }
        let values = self.reproducible.names.get("var").and_then(Value::as_entries);
        let mut added = String::new();
        for (name, value) in values.into_iter().flatten() {
            if let Some(value) = value.as_str().filter(|_| !value.sensitive)
                && text.contains(name.as_str())
            {
                added.push_str(&format!("\0{name}={value}"));
            }
        }
        text.push_str(&added);
        text
    }
}

/// The options of a block as `scope` has them. What is wrong was reported when the node was checked.
fn evaluated(block: &Block, step: Option<&Step>, node: &Node, scope: &Scope) -> Config {
    options_of(block.given, block, step, node, scope)
}

fn options_of(
    given: Given,
    block: &Block,
    step: Option<&Step>,
    node: &Node,
    scope: &Scope,
) -> Config {
    let (schema, unknowns, ignored) =
        (&block.plugin.schema, Unknowns::Allow, &mut Diagnostics::default());
    match step {
        Some(step) => step_options(step, node, schema, scope, unknowns, ignored),
        None => options::evaluate(given, schema, &[], scope, unknowns, ignored),
    }
}

/// Whether what is at a path is a file that may be run: uploads keep that.
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let found = std::fs::metadata(path);
    found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Options that say what a source starts from, of all builders: the first that is there counts.
const BASES: &[&str] =
    &["image", "source_ami", "source_image", "iso_url", "iso_urls", "source", "source_path"];

fn base(kind: BlockKind, config: &Config) -> Option<String> {
    let texts = |option: &&str| match config.get(option)? {
        OptionValue::String(text) if !text.is_empty() => Some(text.clone()),
        OptionValue::List(items) => items.first()?.as_str().map(str::to_owned),
        _ => None,
    };
    BASES.iter().filter(|_| kind == BlockKind::Source).find_map(texts)
}

fn has_secret(value: &OptionValue) -> bool {
    match value {
        OptionValue::Secret(_) => true,
        OptionValue::List(items) => items.iter().any(has_secret),
        OptionValue::Map(entries) => entries.values().any(has_secret),
        _ => false,
    }
}

/// Whether `{{ }}` in a value come to something else in each run.
fn renders_volatile(value: &OptionValue) -> bool {
    let of_text = |text: &str| {
        let pattern = || Regex::new(r"\{\{[^}]*\b(timestamp|isotime|strftime|uuid)\b");
        text.contains("{{") && pattern().is_ok_and(|pattern| pattern.is_match(text))
    };
    match value {
        OptionValue::String(text) => of_text(text),
        OptionValue::List(items) => items.iter().any(renders_volatile),
        OptionValue::Map(entries) => {
            entries.iter().any(|(key, value)| of_text(key) || renders_volatile(value))
        }
        _ => false,
    }
}

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

/// A path without `.` and `..`, as far as names tell.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if normal.parent().is_some() => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}
