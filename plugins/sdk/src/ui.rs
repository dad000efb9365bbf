//! One stream of events from everything that runs to whoever shows it. Nobody prints.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.sink.emit(Event::ProgressStart {
            build: self.build.clone(),
            id,
            label: label.into(),
            total,
        });
        Progress { sink: Arc::clone(&self.sink), id }
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
