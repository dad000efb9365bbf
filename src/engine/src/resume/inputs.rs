//! What a build is made of: digests of its options and of the files they name, never the values.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ingot_sdk::hash::Sha256;
use ingot_sdk::{Config, StateKey};
use ingot_template::steps::Step;
use serde::{Deserialize, Serialize};

use crate::inputs::{
    Block, BlockKind, FileDigests, NodeEvaluator, PluginOptions, PossibleFile, SecretValues,
    encode, possible_files,
};
use crate::journal;

/// Of files that are larger, in bytes, length and time stand for the contents.
const LARGE_FILE: u64 = 256 << 20;
/// Of how many files of a directory the contents are read; of more, length and time stand for them.
const MOST_FILES: usize = 10_000;
/// Directories of a system. Where an option does not say that it names files of this machine, they are those
/// of the built one.
const OF_SYSTEM: &[&str] = &[
    "/", "/bin", "/boot", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/root",
    "/run", "/sbin", "/srv", "/tmp", "/usr", "/var",
];

/// Digests by a name.
type Digests = BTreeMap<String, String>;

/// What a build was made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Inputs {
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
pub(crate) struct StepInputs {
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
    /// Paths of those among them that only may be read. Known of what a step is now.
    #[serde(skip)]
    pub possible: Vec<String>,
}

impl StepInputs {
    /// For people: type, and name if there is one.
    pub(super) fn describe(&self) -> String {
        match self.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => format!("{} {name:?}", self.kind),
            None => self.kind.clone(),
        }
    }

    /// Whether it does the same as `before`.
    pub(super) fn is_same(&self, before: &StepInputs) -> bool {
        (&self.kind, &self.options) == (&before.kind, &before.options)
            && self.changed_files(before).is_empty()
    }

    /// The files that are not what they were `before`. What only may be read, and was not there, is none of
    /// them: the step itself may have written it.
    pub(super) fn changed_files<'s>(&'s self, before: &'s StepInputs) -> Vec<&'s str> {
        let mut changed = different(&before.files, &self.files);
        changed.retain(|name| {
            let mut paths = self.possible.iter().filter(|path| Path::new(name).starts_with(path));
            !paths.any(|path| before.files.keys().all(|known| !Path::new(known).starts_with(path)))
        });
        changed
    }
}

impl Inputs {
    /// What the node of `evaluator` is made of now. Digests can be compared if they are made with one
    /// `salt`; there is a new one if none is given. Reads the files that it names; blocks.
    pub(crate) fn of(evaluator: &NodeEvaluator, salt: Option<&str>) -> Inputs {
        let (project, node) = (evaluator.project, evaluator.node);
        let salt = salt.map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned);
        let texts = FileDigests::without(project.secrets().all());
        let collector = InputCollector { evaluator, texts, salt };
        let variables = evaluator.variables();
        let variables = variables.map(|(name, value)| {
            let text = format!("{value:?}");
            (name.to_owned(), collector.digest(text.as_bytes()))
        });
        let variables = variables.collect();
        let steps = node.provisioners.iter();
        let provisioners = steps
            .map(|step| collector.step(BlockKind::Provisioner, step, evaluator.provisioner(step)));
        let provisioners: Vec<StepInputs> = provisioners.collect();
        let steps = node.pipelines.iter().flatten();
        let post_processors = steps.map(|step| {
            collector.step(BlockKind::PostProcessor, step, evaluator.post_processor(step))
        });
        let post_processors: Vec<StepInputs> = post_processors.collect();
        let source = evaluator.builder().map(|plugin| {
            let block = Block::source(node, &plugin);
            let config = evaluator.named(&block);
            let steps = provisioners.iter().chain(&post_processors);
            (collector.options(&block, &config), collector.source_files(&plugin, &config, steps))
        });
        let (source, source_files) = source.unwrap_or_default();
        let salt = collector.salt;
        Inputs { salt, source, source_files, variables, provisioners, post_processors }
    }
}

/// Collects the inputs of a node.
struct InputCollector<'a> {
    evaluator: &'a NodeEvaluator<'a>,
    /// What leaves secrets out of texts.
    texts: FileDigests,
    salt: String,
}

impl InputCollector<'_> {
    fn digest(&self, bytes: &[u8]) -> String {
        StateKey::of(&self.salt, [bytes]).to_string()
    }

    fn step(&self, kind: BlockKind, step: &Step, plugin: Option<PluginOptions>) -> StepInputs {
        let place = self.evaluator.project.place(step.block.header);
        let mut inputs = StepInputs {
            kind: step.block.label(0).to_owned(),
            name: step.name.clone(),
            place: format!("{}:{}:{}", place.file, place.line, place.column),
            options: Digests::new(),
            files: Digests::new(),
            possible: Vec::new(),
        };
        let Some(plugin) = plugin else { return inputs };
        let block = Block::step(step, &plugin);
        let config = self.evaluator.named(&block);
        inputs.options = self.options(&block, &config);
        let (rendered, files) = (self.evaluator.rendered(&config), &mut inputs.files);
        plugin.local_files(&rendered).iter().for_each(|(_, path)| self.file(path, files));
        let certain: Vec<String> = files.keys().cloned().collect();
        for file in possible_files(kind, &inputs.kind, &rendered) {
            self.possible_file(&file, files);
            let path = self.shown(Path::new(&file.path));
            if !certain.iter().any(|known| Path::new(known).starts_with(&path)) {
                inputs.possible.push(path);
            }
        }
        inputs
    }

    /// Digests of options. What only the run knows of one stands there by its name, as in `named`, or,
    /// where it cannot, by how the option is written and the values that this uses.
    fn options(&self, block: &Block, named: &Config) -> Digests {
        let mut digests = Digests::new();
        let plain = |text: &str| text.to_owned();
        for (name, open) in self.evaluator.open(block).values() {
            let known = named.get(name).filter(|value| value.is_wholly_known());
            let mut bytes = Vec::new();
            encode(known.unwrap_or(open), SecretValues::Included, &plain, &mut bytes);
            if known.is_none() {
                let written = self.evaluator.written(block, name);
                written.texts.iter().for_each(|text| bytes.extend(text.bytes()));
                for (name, value) in self.evaluator.values_of(&written.uses) {
                    bytes.extend(format!("\n{name} = {value:?}").into_bytes());
                }
            }
            digests.insert(name.clone(), self.digest(&bytes));
        }
        digests
    }

    /// The files that a source's options name, without the template's own and those that `steps`
    /// name, which are looked at by themselves: a directory that the source names may hold them all.
    fn source_files<'s>(
        &self,
        plugin: &PluginOptions,
        config: &Config,
        steps: impl Iterator<Item = &'s StepInputs>,
    ) -> Digests {
        let real = |path: &str| std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let files = steps.flat_map(|step| step.files.keys()).map(String::as_str);
        let others: BTreeSet<PathBuf> =
            files.chain(self.evaluator.project.sources.names()).map(real).collect();
        let mut files = Digests::new();
        for (_, path) in self.evaluator.files(plugin, config) {
            self.file(&path, &mut files);
        }
        // Commits are no change of what is built.
        let in_git = |path: &str| Path::new(path).components().any(|c| c.as_os_str() == ".git");
        files.retain(|path, _| !others.contains(&real(path)) && !in_git(path));
        files
    }

    fn file(&self, path: &str, files: &mut Digests) {
        self.add(Path::new(path), None, files);
    }

    /// What a text names, which may as well be no path, or one of the built machine.
    fn possible_file(&self, file: &PossibleFile, files: &mut Digests) {
        let path = Path::new(&file.path);
        if file.is_script && !path.is_file() {
            return;
        }
        let of_kernel = ["/dev", "/proc", "/sys"].iter().any(|root| path.starts_with(root));
        if !of_kernel && !OF_SYSTEM.iter().any(|directory| path == Path::new(directory)) {
            self.add(path, Some(MOST_FILES), files);
        }
    }

    /// Adds a file, or up to `most` files below a directory.
    fn add(&self, path: &Path, most: Option<usize>, files: &mut Digests) {
        let Ok(found) = std::fs::metadata(path) else { return };
        if found.is_file() {
            // What several options name is read once.
            files.entry(self.shown(path)).or_insert_with(|| self.contents(path, true));
        } else if found.is_dir() {
            self.directory(path, most, files);
        }
    }

    /// Adds what is below a directory. What cannot be looked at stands there by the reason.
    fn directory(&self, root: &Path, most: Option<usize>, files: &mut Digests) {
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
            let mut entries: Vec<std::fs::DirEntry> = match entries {
                Ok(entries) => entries,
                Err(error) => {
                    files.insert(self.shown(&directory), self.digest(error.to_string().as_bytes()));
                    continue;
                }
            };
            // In an order, so that it is the same ones where not all are taken.
            entries.sort_by_key(std::fs::DirEntry::file_name);
            for path in entries.into_iter().map(|entry| entry.path()) {
                match std::fs::metadata(&path) {
                    Ok(found) if found.is_dir() => waiting.push(path),
                    Ok(found) if found.is_file() => {
                        if most.is_some_and(|most| count >= most) {
                            return;
                        }
                        count += 1;
                        let digest = || self.contents(&path, count <= MOST_FILES);
                        files.entry(self.shown(&path)).or_insert_with(digest);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        let target = std::fs::read_link(&path);
                        let text = format!("{error} {target:?}");
                        files.insert(self.shown(&path), self.digest(text.as_bytes()));
                    }
                }
            }
        }
    }

    /// A path as it is written down: without secrets.
    fn shown(&self, path: &Path) -> String {
        self.texts.masked(path.display().to_string())
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
        self.digest(sum().unwrap_or_else(|error| error.to_string()).as_bytes())
    }
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
