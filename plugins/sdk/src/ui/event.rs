//! The events, and what takes them.

use std::path::PathBuf;
use std::sync::Arc;

use crate::{Artifact, Error, RegistryImage, Result};

/// What happened, for a renderer to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A step of a build begins: Packer's `==> name: text`.
    Say {
        /// The build it belongs to, or the run as a whole.
        build: Option<Arc<str>>,
        /// What is shown.
        text: String,
    },
    /// Detail below a step.
    Message {
        /// The build it belongs to, or the run as a whole.
        build: Option<Arc<str>>,
        /// What is shown.
        text: String,
    },
    /// Something went wrong, or a command wrote to its standard error.
    Error {
        /// The build it belongs to, or the run as a whole.
        build: Option<Arc<str>>,
        /// What is shown.
        text: String,
    },
    /// How a build, or the run, as a whole went. Unlike the others this names the build in its
    /// text, and is shown as it is: who says it has masked what is not its own.
    Verdict {
        /// The build it belongs to, or the run as a whole.
        build: Option<Arc<str>>,
        /// Whether it failed.
        failed: bool,
        /// What is shown.
        text: String,
    },
    /// A fact for `-machine-readable`: `timestamp,build,kind,args…`. Other renderers skip it.
    Machine {
        /// The build it belongs to, or the run as a whole.
        build: Option<Arc<str>>,
        /// The type of the line, such as `artifact`.
        kind: String,
        /// The rest of the line.
        args: Vec<String>,
    },
    /// Something with a length begins.
    ProgressStart {
        /// The build it belongs to, or the run as a whole.
        build: Option<Arc<str>>,
        /// Tells it from others in this run.
        id: u64,
        /// What it is, for people.
        label: String,
        /// Its length in bytes, if known.
        total: Option<u64>,
    },
    /// It has come this far, in bytes.
    ProgressAt {
        /// The `id` of its start.
        id: u64,
        /// How many bytes are done.
        position: u64,
        /// Its length in bytes, if known.
        total: Option<u64>,
    },
    /// It is over.
    ProgressEnd {
        /// The `id` of its start.
        id: u64,
    },
    /// A build begins to run.
    BuildStart {
        /// Its name.
        build: Arc<str>,
        /// Its source block.
        place: Option<TemplatePlace>,
    },
    /// A build has ended.
    BuildEnd {
        /// Its name.
        build: Arc<str>,
        /// How it went.
        outcome: StepOutcome,
        /// What the user can do about a failure.
        hint: Option<String>,
        /// What it made.
        artifacts: Vec<ArtifactSummary>,
    },
    /// A step of a build begins. Steps of one build follow each other or are inside of each other.
    StepStart {
        /// The build it belongs to.
        build: Arc<str>,
        /// Tells it from others in this run.
        id: u64,
        /// What it is.
        step: StepInfo,
    },
    /// It has ended.
    StepEnd {
        /// The build it belongs to.
        build: Arc<str>,
        /// The `id` of its start.
        id: u64,
        /// How it went.
        outcome: StepOutcome,
    },
    /// A document about what a build makes was written to a file.
    Document {
        /// The build it belongs to, or the run as a whole.
        build: Option<Arc<str>>,
        /// What it is.
        kind: DocumentKind,
        /// The file.
        path: PathBuf,
    },
}

impl Event {
    /// The build, or `build (step)`, that the event names.
    pub fn speaker(&self) -> Option<&Arc<str>> {
        match self {
            Event::Say { build, .. }
            | Event::Message { build, .. }
            | Event::Error { build, .. }
            | Event::Verdict { build, .. }
            | Event::Machine { build, .. }
            | Event::ProgressStart { build, .. }
            | Event::Document { build, .. } => build.as_ref(),
            Event::BuildStart { build, .. }
            | Event::BuildEnd { build, .. }
            | Event::StepStart { build, .. }
            | Event::StepEnd { build, .. } => Some(build),
            Event::ProgressAt { .. } | Event::ProgressEnd { .. } => None,
        }
    }
}

/// A position in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplatePlace {
    /// The file, as diagnostics show it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// What kind of step of a build it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// The builder as a whole; what it does and the provisioners are inside.
    Builder,
    /// A step of a builder, such as `create container`.
    BuilderStep,
    /// A provisioner.
    Provisioner,
    /// The error-cleanup-provisioner.
    ErrorCleanup,
    /// The builder undoes its steps.
    Cleanup,
    /// A test of what the builder made; the machine that is tested and the checks are inside.
    Test,
    /// A check of a test.
    Check,
    /// A post-processor.
    PostProcessor,
    /// What was made is published to a registry.
    Publish,
}

/// What a step of a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepInfo {
    /// Its kind.
    pub kind: StepKind,
    /// The type of its plugin, or what a builder calls its step.
    pub name: String,
    /// What the template calls it, if it does.
    pub label: Option<String>,
    /// Which of how many of its kind it is, from 1.
    pub number: Option<(usize, usize)>,
    /// Its block.
    pub place: Option<TemplatePlace>,
}

impl StepInfo {
    /// A step that is not numbered and has no block of its own.
    pub fn new(kind: StepKind, name: impl Into<String>) -> Self {
        StepInfo { kind, name: name.into(), label: None, number: None, place: None }
    }

    /// The same as number `number` of `of`.
    pub fn numbered(self, number: usize, of: usize) -> Self {
        StepInfo { number: Some((number, of)), ..self }
    }
}

/// How a build or a step of one went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// It did what it should.
    Succeeded,
    /// It failed, for this reason.
    Failed(String),
    /// It failed, for this reason, and the build goes on all the same.
    Tolerated(String),
    /// It was asked to stop.
    Cancelled,
    /// It was done before, by another run.
    Skipped,
}

impl StepOutcome {
    /// How something went that ended with `result`.
    pub fn of<T>(result: &Result<T>) -> Self {
        result.as_ref().err().map_or(StepOutcome::Succeeded, StepOutcome::of_error)
    }

    /// How something went that ended with `error`.
    pub fn of_error(error: &Error) -> Self {
        match error.is_cancelled() {
            true => StepOutcome::Cancelled,
            false => StepOutcome::Failed(error.to_string()),
        }
    }
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// A software bill of materials.
    Sbom,
    /// An attestation of how something was made.
    Provenance,
}

/// An artifact, as events describe it.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactSummary {
    /// See [`Artifact::builder_id`].
    pub builder_id: String,
    /// See [`Artifact::id`].
    pub id: String,
    /// See [`Artifact::description`].
    pub description: String,
    /// See [`Artifact::files`].
    pub files: Vec<PathBuf>,
    /// See [`Artifact::size`].
    pub size: Option<u64>,
    /// See [`Artifact::images`].
    pub images: Vec<RegistryImage>,
    /// Where it was published, if it stands for that: its state `registry_version`.
    pub registry_version: Option<RegistryVersion>,
}

impl ArtifactSummary {
    /// The description of `artifact`.
    pub fn of(artifact: &dyn Artifact) -> Self {
        let version = artifact.state(REGISTRY_VERSION);
        ArtifactSummary {
            builder_id: artifact.builder_id().to_owned(),
            id: artifact.id(),
            description: artifact.description(),
            files: artifact.files(),
            size: artifact.size(),
            images: artifact.images(),
            registry_version: version.and_then(|version| serde_json::from_value(version).ok()),
        }
    }
}

/// The name of the state of an artifact that holds its [`RegistryVersion`].
pub const REGISTRY_VERSION: &str = "registry_version";

/// A version of a bucket of an image registry.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RegistryVersion {
    /// What the registry is called.
    pub registry: String,
    /// The bucket's name.
    pub bucket: String,
    /// The version's id.
    pub version_id: String,
    /// The version's fingerprint.
    pub fingerprint: String,
}

/// Takes events. The engine's renderer implements it, and masks secrets before they are seen.
#[async_trait::async_trait]
pub trait EventSink: Send + Sync {
    /// Shows `event`.
    fn emit(&self, event: Event);
    /// Asks the user and waits for a line.
    ///
    /// # Errors
    /// There is nobody to ask.
    async fn ask(&self, build: Option<Arc<str>>, question: &str) -> std::io::Result<String>;
    /// From now on, masks `secret`, and each of its lines, wherever it would be shown.
    fn mask(&self, secret: &str);
    /// From now on, masks `text`, but not each of its lines alone, as it has harmless ones.
    fn mask_whole(&self, text: &str) {
        self.mask(text);
    }
    /// `text` with all secrets masked, for files that a build leaves.
    fn masked(&self, text: &str) -> String {
        text.to_owned()
    }
}
