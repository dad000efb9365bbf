//! The renderer of events.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use ingot_sdk::{Event, EventSink};
use parking_lot::{Mutex, MutexGuard};

use super::redact::Redactor;
use super::{machine, text};

/// How to show things.
#[derive(Debug, Clone, Copy, Default)]
pub struct UiOptions {
    /// `-machine-readable`
    pub machine_readable: bool,
    /// Whether text may be coloured.
    pub color: bool,
    /// `-timestamp-ui`
    pub timestamps: bool,
}

/// The renderer of a run.
pub struct Renderer {
    options: UiOptions,
    redactor: Arc<Redactor>,
    state: Mutex<State>,
    /// Draws bars on a terminal; none elsewhere.
    bars: Option<MultiProgress>,
}

#[derive(Default)]
struct State {
    /// The colour of each build, given out in the order they speak.
    colors: HashMap<Arc<str>, usize>,
    progress: HashMap<u64, Task>,
}

/// Something under way.
struct Task {
    build: Option<Arc<str>>,
    label: String,
    bar: Option<ProgressBar>,
    /// The last tenth that was told where there is no bar.
    reported: u64,
}

impl Renderer {
    /// A renderer that writes to this process's output.
    pub fn new(options: UiOptions) -> Arc<Self> {
        let interactive = std::io::stderr().is_terminal()
            && std::io::stdout().is_terminal()
            && !options.machine_readable;
        Arc::new(Renderer {
            options,
            redactor: Arc::new(Redactor::default()),
            state: Mutex::default(),
            bars: interactive.then(MultiProgress::new),
        })
    }

    /// What hides secrets; the log goes through it too.
    pub fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.redactor)
    }

    /// Gives builds their colours, and shows which are whose if there are any.
    pub fn register_builds<'a>(&self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            {
                let mut state = self.state();
                let next = state.colors.len();
                state.colors.entry(name.into()).or_insert(next);
            }
            if self.options.color && !self.options.machine_readable {
                let legend = format!("{name}: output will be in this color.");
                self.show(Some(name), text::Level::Say, &legend);
            }
        }
        if self.options.color && !self.options.machine_readable {
            self.write("\n");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Writes to standard output. Errors go there too, as with Packer: what a run says is one
    /// text in one order. Standard error is for the log.
    pub(super) fn write(&self, text: &str) {
        // A reader that went away is not our failure: the build goes on.
        let write = || {
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
        };
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    /// The colour of a build, or of the build that a step named `build (step)` belongs to.
    fn color_of(&self, build: &str) -> usize {
        let state = self.state();
        let owner = || state.colors.get(build.rsplit_once(" (")?.0);
        state.colors.get(build).or_else(owner).copied().unwrap_or(0)
    }

    fn line(&self, build: Option<&Arc<str>>, level: text::Level, message: &str) {
        match build {
            Some(name) => {
                let message = text::prefixed(name, &self.redactor.apply(message));
                self.show(Some(name), level, &message);
            }
            None => self.show(None, level, &self.redactor.apply(message)),
        }
    }

    /// Shows a text that has no secrets in it.
    fn show(&self, build: Option<&str>, level: text::Level, message: &str) {
        if self.options.machine_readable {
            self.write(&machine::ui(level, message));
            return;
        }
        let color = build.map(|name| self.color_of(name));
        self.write(&text::render(level, message, color, &self.options));
    }

    pub(super) fn start(
        &self,
        build: Option<Arc<str>>,
        id: u64,
        label: String,
        total: Option<u64>,
    ) {
        let label = self.redactor.apply(&label);
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(match total {
                Some(total) => ProgressBar::new(total),
                None => ProgressBar::no_length(),
            });
            let style = ProgressStyle::with_template(
                "    {prefix}: {msg} {bytes}/{total_bytes} {wide_bar} {eta}",
            );
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.set_prefix(build.as_deref().unwrap_or("").to_owned());
            bar.set_message(label.clone());
            bar
        });
        self.state().progress.insert(id, Task { build, label, bar, reported: 0 });
    }

    fn advance(&self, id: u64, position: u64, total: Option<u64>) {
        let mut state = self.state();
        let Some(task) = state.progress.get_mut(&id) else { return };
        if let Some(bar) = &task.bar {
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(position);
            return;
        }
        let tenth = match total {
            Some(total) if total > 0 => position * 10 / total,
            _ => return,
        };
        if tenth <= task.reported || tenth == 0 {
            return;
        }
        task.reported = tenth;
        let (build, message) = (task.build.clone(), format!("{}: {}%", task.label, tenth * 10));
        drop(state);
        self.line(build.as_ref(), text::Level::Say, &message);
    }
}

#[async_trait::async_trait]
impl EventSink for Renderer {
    fn emit(&self, event: Event) {
        match event {
            Event::Say { build, text } | Event::Message { build, text } => {
                self.line(build.as_ref(), text::Level::Say, &text);
            }
            Event::Verdict { build, failed, text } => {
                let level = if failed { text::Level::Error } else { text::Level::Say };
                self.show(build.as_deref(), level, &text);
            }
            Event::Error { build, text } => self.line(build.as_ref(), text::Level::Error, &text),
            Event::Machine { build, kind, args } if self.options.machine_readable => {
                let args: Vec<String> = args.iter().map(|arg| self.redactor.apply(arg)).collect();
                self.write(&machine::line(build.as_deref(), &kind, &args));
            }
            Event::Machine { .. } => {}
            Event::ProgressStart { build, id, label, total } => self.start(build, id, label, total),
            Event::ProgressAt { id, position, total } => self.advance(id, position, total),
            Event::ProgressEnd { id } => {
                let task = self.state().progress.remove(&id);
                if let Some(bar) = task.and_then(|task| task.bar) {
                    bar.finish_and_clear();
                }
            }
            Event::BuildStart { .. }
            | Event::BuildEnd { .. }
            | Event::StepStart { .. }
            | Event::StepEnd { .. }
            | Event::Document { .. } => {}
        }
    }

    async fn ask(&self, build: Option<Arc<str>>, question: &str) -> std::io::Result<String> {
        if self.options.machine_readable {
            return Err(std::io::Error::other("there is nobody to ask with -machine-readable"));
        }
        if !std::io::stdin().is_terminal() {
            return Err(std::io::Error::other("standard input is not a terminal"));
        }
        self.line(build.as_ref(), text::Level::Say, question);
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        let line = read.await.map_err(std::io::Error::other)??;
        Ok(line.trim_end_matches(['\n', '\r']).to_owned())
    }

    fn masked(&self, text: &str) -> String {
        self.redactor.apply(text)
    }

    fn mask(&self, secret: &str) {
        self.redactor.add(secret);
    }
}
