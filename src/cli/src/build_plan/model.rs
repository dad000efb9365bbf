//! A plan, as its JSON has it. docs/reference/plan.md describes it; fields are only ever added.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

/// What a run of a template would do.
#[derive(Debug, Clone, Serialize)]
pub struct BuildPlan {
    /// The form of this object: 1.
    pub format: u32,
    /// The template, as it was given.
    pub template: String,
    /// Whether the registry was asked. Otherwise nothing was compared with what is published.
    pub registry_asked: bool,
    /// As what the builds would be published; null if they would not be.
    pub publish: Option<PublishPlan>,
    /// The builds, in the template's order.
    pub builds: Vec<PlannedBuild>,
}

/// As what builds would be published.
#[derive(Debug, Clone, Serialize)]
pub struct PublishPlan {
    /// What the registry is called; null if none was asked.
    pub registry: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// The version's fingerprint; null if it is new in each run.
    pub fingerprint: Option<String>,
    /// The beginning of the commit whose version is complete, so that what changed goes to a new one.
    #[serde(skip)]
    pub beside: Option<String>,
    /// The bucket's labels.
    pub bucket_labels: BTreeMap<String, String>,
    /// Labels of all builds.
    pub build_labels: BTreeMap<String, String>,
    /// Channels that would be assigned the version.
    pub channels: Vec<String>,
    /// The channel that `build -stale` assigns the version to once its tests passed.
    pub promote: Option<String>,
    /// The version that was completed last; null if there is none, or none was looked for.
    pub last_version: Option<PlannedVersion>,
    /// What the registry calls the builds of that version that the template has no more.
    pub removed: Vec<String>,
}

/// A version that was published.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedVersion {
    /// Its name, such as `v3`.
    pub name: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Whether it is revoked.
    pub revoked: bool,
}

/// How a build compares with what was published of it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is not published, or the registry was not asked.
    NotCompared,
    /// There is nothing to compare it with.
    New,
    /// It differs.
    Changed,
    /// It may differ: something is not known.
    Undecided,
    /// It does not differ.
    Unchanged,
}

impl State {
    /// For people.
    pub fn shown(self) -> &'static str {
        match self {
            State::NotCompared => "not compared",
            State::New => "new",
            State::Changed => "changed",
            State::Undecided => "may have changed",
            State::Unchanged => "unchanged",
        }
    }
}

/// A build.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedBuild {
    /// Its name.
    pub name: String,
    /// What the registry calls it.
    pub component: String,
    /// How it compares with what was published last.
    pub state: State,
    /// Why, for people.
    pub reasons: Vec<String>,
    /// Its source.
    pub source: PlannedBlock,
    /// Its provisioners, in order.
    pub provisioners: Vec<PlannedBlock>,
    /// Its pipelines of post-processors.
    pub post_processors: Vec<Vec<PlannedBlock>>,
    /// The input variables that it uses.
    pub variables: Vec<PlannedVariable>,
    /// The data sources that it uses.
    pub data_sources: Vec<PlannedData>,
    /// The versions of other buckets that it builds on.
    pub parents: Vec<PlannedParent>,
}

/// A block of a build.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedBlock {
    /// The type of its plugin.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its name; null if it has none.
    pub name: Option<String>,
    /// Its file, as it was given.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What it starts from, where its options say so: an image, a disk, a file.
    pub base: Option<String>,
    /// The local files and directories that it reads.
    pub files: Vec<PlannedFile>,
    /// Options that are not known before the run.
    pub unknown: Vec<String>,
    /// Options that come to something else in each run, as with the time in them. That alone is no
    /// change.
    pub volatile: Vec<String>,
    /// What the step cache can do for it; null where its builder keeps no states.
    pub cache: Option<PlannedCache>,
    /// Whether there are secrets in its options. A secret that changed is no change.
    pub holds_secret: bool,
}

/// What is known of the state after a provisioner.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedCache {
    /// Why the step cache does not keep it; null if it can.
    pub not_kept_because: Option<String>,
    /// When one was last kept, as RFC 3339. Whether it is used depends on what the machine starts
    /// from, which only the build finds out.
    pub last_kept: Option<String>,
}

/// A local file or directory.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedFile {
    /// The option that names it.
    pub option: String,
    /// Its path, as the option has it.
    pub path: String,
    /// Its SHA-256; for a directory, that of all that is in it; null if it is not there or cannot be
    /// read. A file with secrets of the template in it is hashed without them.
    pub sha256: Option<String>,
    /// Why there is no hash.
    pub error: Option<String>,
}

/// An input variable.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedVariable {
    /// Its name.
    pub name: String,
    /// Its value; null if it is sensitive or not known.
    pub value: Json,
    /// Whether it is sensitive, so that its value is not told.
    pub sensitive: bool,
}

/// A data source.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedData {
    /// Its name: `data.amazon-ami.debian`.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Whether it was fetched, so that its values are known.
    pub fetched: bool,
}

/// A version of another bucket that is built on.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedParent {
    /// The data source that names it.
    pub data_source: String,
    /// The bucket; null if it is not known.
    pub bucket: Option<String>,
    /// The channel that says which version is meant; null if it is named in another way.
    pub channel: Option<String>,
    /// The version's id; null if it was not looked up.
    pub version_id: Option<String>,
}
