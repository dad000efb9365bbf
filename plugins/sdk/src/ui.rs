//! One stream of events from everything that runs to whoever shows it. Nobody prints.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Artifact, Error, RegistryImage, Result};

/// Numbers what begins and ends in a run.
fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

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
    /// From now on, masks `secret` wherever it would be shown.
    fn mask(&self, secret: &str);
    /// `text` with all secrets masked, for files that a build leaves.
    fn masked(&self, text: &str) -> String {
        text.to_owned()
    }
}

/// A plugin's voice: events that carry its build's name.
#[derive(Clone)]
pub struct Ui {
    sink: Arc<dyn EventSink>,
    build: Option<Arc<str>>,
}

impl Ui {
    /// A voice for the run as a whole.
    pub fn new(sink: Arc<dyn EventSink>) -> Self {
        Ui { sink, build: None }
    }

    /// A voice that nobody hears, for work of which somebody else tells.
    pub fn silent() -> Self {
        Ui::new(Arc::new(Silence))
    }

    /// The same stream, speaking for one build.
    pub fn for_build(&self, name: &str) -> Self {
        Ui { sink: Arc::clone(&self.sink), build: Some(name.into()) }
    }

    /// The same stream, speaking for a step of this build that has a name of its own.
    pub fn for_step(&self, step: &str) -> Self {
        let build = match &self.build {
            Some(build) => format!("{build} ({step})").into(),
            None => step.into(),
        };
        Ui { sink: Arc::clone(&self.sink), build: Some(build) }
    }

    /// Announces a step.
    pub fn say(&self, text: impl Into<String>) {
        self.sink.emit(Event::Say { build: self.build.clone(), text: text.into() });
    }

    /// Adds detail.
    pub fn message(&self, text: impl Into<String>) {
        self.sink.emit(Event::Message { build: self.build.clone(), text: text.into() });
    }

    /// Reports a problem, or a line of a command's standard error.
    pub fn error(&self, text: impl Into<String>) {
        self.sink.emit(Event::Error { build: self.build.clone(), text: text.into() });
    }

    /// Reports an error as `text`, then what to do about it, where that is known.
    pub fn failure(&self, text: impl Into<String>, error: &Error) {
        self.error(text);
        if let Some(advice) = error.advice() {
            self.error(format!("help: {advice}"));
        }
    }

    /// Tells how the build went, in words that are shown as they are: the caller masks what it
    /// quotes, with [`Ui::masked`].
    pub fn verdict(&self, failed: bool, text: impl Into<String>) {
        let build = self.build.clone();
        self.sink.emit(Event::Verdict { build, failed, text: text.into() });
    }

    /// States a fact for machines.
    pub fn machine(&self, kind: &str, args: &[&str]) {
        self.sink.emit(Event::Machine {
            build: self.build.clone(),
            kind: kind.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
        });
    }

    /// Shows progress until the returned handle is dropped.
    pub fn progress(&self, label: impl Into<String>, total: Option<u64>) -> Progress {
        let id = next_id();
        self.sink.emit(Event::ProgressStart {
            build: self.build.clone(),
            id,
            label: label.into(),
            total,
        });
        Progress { sink: Arc::clone(&self.sink), id }
    }

    /// Says that a build begins; this speaks for it.
    pub fn build_start(&self, place: Option<TemplatePlace>) {
        if let Some(build) = self.build.clone() {
            self.sink.emit(Event::BuildStart { build, place });
        }
    }

    /// Says how a build ended; this speaks for it.
    pub fn build_end(
        &self,
        outcome: StepOutcome,
        hint: Option<&str>,
        artifacts: Vec<ArtifactSummary>,
    ) {
        let Some(build) = self.build.clone() else { return };
        let hint = hint.map(str::to_owned);
        self.sink.emit(Event::BuildEnd { build, outcome, hint, artifacts });
    }

    /// Says that a step of the build begins. It ends with what is returned.
    pub fn step(&self, step: StepInfo) -> RunningStep {
        let id = next_id();
        if let Some(build) = self.build.clone() {
            self.sink.emit(Event::StepStart { build, id, step });
        }
        RunningStep { ui: self.clone(), id, ended: false }
    }

    /// Says that a document about what the build makes was written to `path`.
    pub fn document(&self, kind: DocumentKind, path: &Path) {
        let build = self.build.clone();
        self.sink.emit(Event::Document { build, kind, path: path.to_owned() });
    }

    /// Asks the user and waits for a line.
    ///
    /// # Errors
    /// There is nobody to ask.
    pub async fn ask(&self, question: &str) -> std::io::Result<String> {
        self.sink.ask(self.build.clone(), question).await
    }

    /// `text` with all secrets masked, for files that a build leaves.
    pub fn masked(&self, text: &str) -> String {
        self.sink.masked(text)
    }

    /// From now on, masks `secret` wherever it would be shown.
    pub fn mask(&self, secret: &str) {
        self.sink.mask(secret);
    }
}

struct Silence;

#[async_trait::async_trait]
impl EventSink for Silence {
    fn emit(&self, _: Event) {}

    async fn ask(&self, _: Option<Arc<str>>, _: &str) -> std::io::Result<String> {
        Err(std::io::Error::other("there is nobody to ask"))
    }

    fn mask(&self, _: &str) {}
}

/// Something under way that has a length.
pub struct Progress {
    sink: Arc<dyn EventSink>,
    id: u64,
}

impl Progress {
    /// It has come to `position` bytes of `total`.
    pub fn at(&self, position: u64, total: Option<u64>) {
        self.sink.emit(Event::ProgressAt { id: self.id, position, total });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.sink.emit(Event::ProgressEnd { id: self.id });
    }
}

/// A step of a build that runs. One that is dropped was cancelled.
#[must_use = "a step that is dropped is taken for cancelled"]
pub struct RunningStep {
    ui: Ui,
    id: u64,
    ended: bool,
}

impl RunningStep {
    /// It has ended with `result`.
    pub fn end<T>(self, result: &Result<T>) {
        self.end_as(StepOutcome::of(result));
    }

    /// It has ended with `error`.
    pub fn fail(self, error: &Error) {
        self.end_as(StepOutcome::of_error(error));
    }

    /// It has failed, and the build goes on all the same.
    pub fn tolerate(self, error: &Error) {
        self.end_as(StepOutcome::Tolerated(error.to_string()));
    }

    /// It has ended.
    pub fn end_as(mut self, outcome: StepOutcome) {
        self.emit(outcome);
    }

    fn emit(&mut self, outcome: StepOutcome) {
        self.ended = true;
        if let Some(build) = self.ui.build.clone() {
            self.ui.sink.emit(Event::StepEnd { build, id: self.id, outcome });
        }
    }
}

impl Drop for RunningStep {
    fn drop(&mut self) {
        if !self.ended {
            self.emit(StepOutcome::Cancelled);
        }
    }
}
