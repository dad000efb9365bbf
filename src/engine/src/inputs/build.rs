//! What a build is made from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ingot_sdk::{Config, OptionValue, TestRun};
use ingot_template::companion::{CheckSource, TestBlock};
use ingot_template::dynamic::{Names, Part};
use ingot_template::steps::Step;
use ingot_template::{Companion, RegistryBlock};
use regex::Regex;

use super::block::{BlockInputs, BlockKind, FileInput};
use super::commands::{PossibleFile, possible_files};
use super::encode::{SecretValues, encode};
use super::evaluate::{Block, NodeEvaluator};
use super::files::FileDigests;
use crate::prepare::CheckedNode;
use crate::project::{Compared, Project, Reproducible};
use ingot_hcl::{Scope, Value, print};

/// What stands for the template's directory, which is elsewhere on each machine.
const TEMPLATE_DIR: &str = "<path.root>";
/// What stands for the working directory.
const WORKING_DIR: &str = "<path.cwd>";
/// Directories of a system and its programs. What is there differs on each machine.
const SYSTEM: &[&str] = &[
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/nix", "/proc", "/run", "/sbin", "/sys",
    "/usr", "/var",
];

/// What a build is made from, and what is checked and published of it.
#[derive(Debug, Clone, Default)]
pub struct BuildInputs {
    /// Its blocks in order, the source first.
    pub blocks: Vec<BlockInputs>,
    /// What its tests check.
    pub tests: TestInputs,
    /// What the registry block has published.
    pub registry: RegistryInputs,
}

/// What the tests of a build check.
#[derive(Debug, Clone, Default)]
pub struct TestInputs {
    /// All that is compared; empty if there are none.
    pub options: Vec<u8>,
    /// Whether something of it is not known.
    pub open: bool,
    /// Whether the run skips them.
    pub skipped: bool,
}

/// What the registry block has published besides what is built.
#[derive(Debug, Clone, Default)]
pub struct RegistryInputs {
    /// Its options, with all that is compared of them.
    pub options: BTreeMap<String, Vec<u8>>,
    /// Whether something of it is not known.
    pub open: bool,
}

/// Finds out what the builds of a template are made from.
pub struct InputReader<'a> {
    project: &'a Project,
    reproducible: Reproducible,
    /// The same with texts that stand for the secrets.
    concealed: Reproducible,
    /// What the companion files say with these texts.
    companion: Companion,
    /// The registry block with these texts.
    registry: RegistryBlock,
    skips_tests: bool,
    digests: FileDigests,
    /// The template's directory and the working directory, absolute.
    root: PathBuf,
    cwd: PathBuf,
}

/// What people know a block by.
struct Title {
    kind: BlockKind,
    number: String,
    name: String,
    label: Option<String>,
}

impl Title {
    fn of_step(kind: BlockKind, number: String, step: &Step) -> Self {
        let label = step.name.clone().filter(|name| !name.is_empty());
        Title { kind, number, name: step.block.label(0).to_owned(), label }
    }
}

impl<'a> InputReader<'a> {
    /// For the template of `project`, which was evaluated.
    pub fn new(project: &'a Project) -> Self {
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let root = std::path::absolute(&project.template.dir);
        let concealed = project.concealed();
        InputReader {
            project,
            reproducible: project.reproducible(),
            companion: project.companion_in(&concealed),
            registry: project.registry_in(&concealed),
            concealed,
            skips_tests: false,
            digests: FileDigests::without(project.secrets().all()),
            root: normal(&root.unwrap_or_else(|_| project.template.dir.clone())),
            cwd: normal(&cwd),
        }
    }

    /// The same for a run that skips tests, if `skips_tests`.
    #[must_use]
    pub fn skipping_tests(self, skips_tests: bool) -> Self {
        InputReader { skips_tests, ..self }
    }

    /// What a build is made from. Reads the files that it names; blocks.
    pub fn read<B>(&self, checked: &CheckedNode<B>) -> BuildInputs {
        let (node, values, context) = (&*checked.node, &*checked.values, &*checked.context);
        let (project, reproducible) = (self.project, &self.reproducible);
        let evaluator = NodeEvaluator::new(project, reproducible, node, values, context);
        let mut blocks = Vec::new();
        if let Some(plugin) = evaluator.builder() {
            let (number, name) = (String::new(), node.component.clone());
            let title = Title { kind: BlockKind::Source, number, name, label: None };
            blocks.push(self.block(&evaluator, title, &Block::source(node, &plugin)));
        }
        for (index, step) in node.provisioners.iter().enumerate() {
            if let Some(plugin) = evaluator.provisioner(step) {
                let number = (index + 1).to_string();
                let title = Title::of_step(BlockKind::Provisioner, number, step);
                blocks.push(self.block(&evaluator, title, &Block::step(step, &plugin)));
            }
        }
        for (pipeline, steps) in node.pipelines.iter().enumerate() {
            for (index, step) in steps.iter().enumerate() {
                if let Some(plugin) = evaluator.post_processor(step) {
                    let number = format!("{}.{}", pipeline + 1, index + 1);
                    let title = Title::of_step(BlockKind::PostProcessor, number, step);
                    blocks.push(self.block(&evaluator, title, &Block::step(step, &plugin)));
                }
            }
        }
        let tests = self.tests(&node.component);
        BuildInputs { blocks, tests, registry: self.registry() }
    }

    fn tests(&self, component: &str) -> TestInputs {
        let mut options = Vec::new();
        for test in self.companion.tests_of(component) {
            let test = self.test(test);
            // There are only texts that stand for the secrets.
            encode(&test, SecretValues::Included, &|text: &str| self.stable(text), &mut options);
        }
        let open = !options.is_empty() && self.project.is_open(Compared::Tests);
        TestInputs { options, open, skipped: self.skips_tests }
    }

    /// A test without what says only how long it may take.
    fn test(&self, test: &TestBlock) -> OptionValue {
        let compared = |options: &Config| {
            let options = options.without(&["timeout", "retry_timeout"]);
            OptionValue::Map(options.values().clone())
        };
        let checks = test.checks.iter().map(|check| {
            let options = match &check.source {
                CheckSource::Block(options) => compared(options),
                CheckSource::Goss(file) => string(self.digests.of(file).as_str()),
            };
            OptionValue::List(vec![string(check.check.kind), string(&check.check.name), options])
        });
        // A text in a secret's place may not be in the form that the option has to be in.
        let refused = test.refused.iter().map(|check| {
            let options = compared(&check.options);
            OptionValue::List(vec![string(&check.kind), string(&check.name), options])
        });
        let run = match &test.run {
            None => OptionValue::Null,
            Some(TestRun::Shell(command)) => string(command),
            Some(TestRun::Image(arguments)) => strings(arguments),
        };
        let checks = OptionValue::List(checks.chain(refused).collect());
        OptionValue::List(vec![string(&test.name), run, OptionValue::Bool(test.sudo), checks])
    }

    fn registry(&self) -> RegistryInputs {
        let RegistryBlock { description, bucket_labels, build_labels, channels, .. } =
            &self.registry;
        let labels = |labels: &BTreeMap<String, String>| {
            OptionValue::Map(labels.iter().map(|(name, it)| (name.clone(), string(it))).collect())
        };
        let options = [
            ("description", string(description)),
            ("bucket_labels", labels(bucket_labels)),
            ("build_labels", labels(build_labels)),
            ("channels", strings(channels)),
        ];
        let options = options.into_iter().map(|(name, value)| {
            let mut bytes = Vec::new();
            encode(&value, SecretValues::Included, &|text: &str| self.stable(text), &mut bytes);
            (name.to_owned(), bytes)
        });
        let options = options.collect();
        RegistryInputs { options, open: self.project.is_open(Compared::Registry) }
    }

    fn block(&self, evaluator: &NodeEvaluator, title: Title, block: &Block) -> BlockInputs {
        let config = evaluator.named(block);
        let concealed = self.concealed_options(evaluator, block);
        let rendered = evaluator.rendered(&config);
        let mut named = block.plugin.local_files(&rendered);
        // Those files are mostly secrets.
        named.retain(|(option, _)| !option.ends_with(" --env-file"));
        let read: Vec<String> = named.iter().map(|(option, _)| option.clone()).collect();
        let certain = named.len();
        for file in possible_files(title.kind, &title.name, &rendered) {
            let is_known = named.iter().any(|(_, known)| *known == file.path);
            if !is_known && !file.may_be_secret && self.is_read_here(&file) {
                named.push((file.option, file.path));
            }
        }
        let files = named.into_iter().enumerate().map(|(index, (option, path))| {
            let digest = self.digests.of(Path::new(&path));
            let executable = is_executable(Path::new(&path));
            let portable = self.digests.masked(self.portable(&path));
            // Flags were not looked at either.
            let possible = index >= certain || option.contains(" --");
            FileInput { option, path, portable, digest, executable, possible }
        });
        let files: Vec<FileInput> = files.collect();
        let mut options = Vec::new();
        let mut holds_secret = false;
        let map = |text: &str| self.stable(text);
        for (name, value) in config.values() {
            encode(&OptionValue::String(name.clone()), SecretValues::Omitted, &map, &mut options);
            // Files count by where they are from the template, and by what is in them.
            if read.contains(name) && !has_secret(value) {
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
                self.add_written(evaluator, block, name, &mut options);
            }
        }
        let open = evaluator.open(block);
        for name in open.values().keys().filter(|name| config.get(name).is_none()) {
            let title = OptionValue::String(name.clone());
            encode(&title, SecretValues::Omitted, &map, &mut options);
            self.add_written(evaluator, block, name, &mut options);
        }
        let step = block.step;
        if step.is_some_and(|step| step.continue_on_error) {
            options.extend(b"continue_on_error");
        }
        if let Some(keep) = step.and_then(|step| step.keep_input_artifact) {
            options.extend(format!("keep_input_artifact {keep}").into_bytes());
        }
        let unknown = config.unknown().map(str::to_owned).collect();
        let scope = self.project.scope();
        let real = block.options(evaluator.node, &scope.with(evaluator.run_names()));
        let volatile = real.values().iter().filter(|(name, value)| {
            config.get(name).is_some_and(|other| other != *value) || renders_volatile(value)
        });
        let volatile = volatile.filter(|(_, value)| value.is_wholly_known());
        BlockInputs {
            base: base(title.kind, &real),
            kind: title.kind,
            number: title.number,
            name: title.name,
            label: title.label,
            place: self.project.place(block.header),
            options,
            files,
            unknown,
            holds_secret,
            volatile: volatile.map(|(name, _)| name.clone()).collect(),
        }
    }

    /// The options of a block with texts that stand for the secrets in them.
    fn concealed_options(&self, evaluator: &NodeEvaluator, block: &Block) -> Config {
        let names = |names: &Names| -> Names {
            let name = |(name, value): (&String, &Value)| {
                (name.clone(), value.concealed(&format!("<{name}>")))
            };
            names.iter().map(name).collect()
        };
        let parts = block.parts.iter();
        let parts = parts.map(|part| Part { body: part.body.clone(), names: names(&part.names) });
        let parts = parts.collect();
        let step = block.step.map(|step| Step { names: names(&step.names), ..step.clone() });
        let (header, plugin) = (block.header, block.plugin);
        let concealed = Block { parts, header, step: step.as_ref(), plugin };
        let scope = Scope::new(self.concealed.names.clone(), &self.concealed.functions);
        concealed.options(evaluator.node, &scope.with(evaluator.run_names()))
    }

    /// How an option is written and the values that it uses, without secrets: where it is made with one,
    /// as `"${var.name}:${var.password}"`, or cannot be evaluated before the run.
    fn add_written(
        &self,
        evaluator: &NodeEvaluator,
        block: &Block,
        option: &str,
        options: &mut Vec<u8>,
    ) {
        let written = evaluator.written(block, option);
        let texts = written.texts.into_iter().map(|text| self.digests.masked(text.to_owned()));
        let values = evaluator.values_of(&written.uses).into_iter();
        let values = values.filter(|(_, value)| !value.holds_secret());
        let values =
            values.map(|(name, value)| self.stable(&format!("{name} = {}", print::quoted(value))));
        let all = texts.chain(values).map(OptionValue::String).collect();
        let plain = |text: &str| text.to_owned();
        encode(&OptionValue::List(all), SecretValues::Omitted, &plain, options);
    }

    /// Whether a text that may be a path is taken for one: of something below the template's directory or the
    /// working directory, or of a file elsewhere that is not part of this machine's system. A directory's
    /// bare name is rather another word: `test`, or a group of Ansible's.
    fn is_read_here(&self, file: &PossibleFile) -> bool {
        let text = &file.path;
        let Ok(path) = std::path::absolute(text).map(|path| normal(&path)) else { return false };
        let Ok(found) = std::fs::metadata(&path) else { return false };
        let holds = |directory: &PathBuf| {
            directory.parent().is_some() && path != *directory && path.starts_with(directory)
        };
        if found.is_dir() {
            // One that holds the template is named for its place.
            let own = self.root.starts_with(&path);
            return !file.is_script
                && text.contains('/')
                && !own
                && (holds(&self.root) || holds(&self.cwd));
        }
        let of_system = SYSTEM.iter().any(|directory| path.starts_with(directory));
        found.is_file() && (holds(&self.root) || holds(&self.cwd) || !of_system)
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

fn string(text: &str) -> OptionValue {
    OptionValue::String(text.to_owned())
}

fn strings(texts: &[String]) -> OptionValue {
    OptionValue::List(texts.iter().map(|text| string(text)).collect())
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
