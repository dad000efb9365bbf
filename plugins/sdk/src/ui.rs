//! One stream of events from everything that runs to whoever shows it. Nobody prints.

mod event;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use event::{
    ArtifactSummary, DocumentKind, Event, EventSink, REGISTRY_VERSION, RegistryVersion, StepInfo,
    StepKind, StepOutcome, TemplatePlace,
};

use crate::{Error, Result};

/// Numbers what begins and ends in a run.
fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
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

    /// From now on, masks `secret`, and each of its lines, wherever it would be shown.
    pub fn mask(&self, secret: &str) {
        self.sink.mask(secret);
    }

    /// From now on, masks `text`, but not each of its lines alone, as it has harmless ones.
    pub fn mask_whole(&self, text: &str) {
        self.sink.mask_whole(text);
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
