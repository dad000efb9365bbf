//! The log: to standard error if `PACKER_LOG` asks for one, or to the file that `PACKER_LOG_PATH` names.
//!
//! As Packer's, a file also gets the lines of builds and the errors of commands: it is what CI systems keep of a
//! job that failed. On standard error the lines would stand twice.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use ingot_family::{MEMBER_VARIABLE, member_bucket};
use ingot_sdk::{Error, Event, Result, environment};
use ingot_ui::{Redactor, Renderer, plain, prefixed};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::build_logs::{BuildLogLayer, Slot};

/// The variable that names the file.
const PATH: &str = "PACKER_LOG_PATH";

/// What stands before what is shown, as in Packer's log.
const SHOWN: &str = "ui";
/// The same for problems, and what programs write to their standard error.
const SHOWN_PROBLEM: &str = "ui error";
/// The same for facts, which `-machine-readable` shows.
const FACT: &str = "machine readable";

/// The file that the log goes to, from [`open()`] on.
static FILE: OnceLock<LogFile> = OnceLock::new();
/// Whether the log was started.
static STARTED: AtomicBool = AtomicBool::new(false);
/// What was shown before that: whether something is wrong, and the text. It is for the file alone.
static EARLY: parking_lot::Mutex<Vec<(bool, String)>> = parking_lot::Mutex::new(Vec::new());

/// A file that the log goes to.
struct LogFile {
    path: PathBuf,
    /// Whether it has the logs of several runs.
    of_several: bool,
    /// What stands before what this run shows: the builds of a family may have the same names.
    member: String,
    file: parking_lot::Mutex<File>,
}

/// Writes to the file as it is open now.
struct ToFile(&'static LogFile);

impl Write for ToFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.file.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.file.lock().flush()
    }
}

/// Opens a file to add to it.
fn append_to(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Opens the file that the log goes to, if there is one. `serves` is whether the command is a server,
/// whose log has all of its runs.
///
/// # Errors
/// It cannot be written; Packer does not run then either.
pub(super) fn open(serves: bool) -> Result<()> {
    if FILE.get().is_some() {
        return Ok(());
    }
    let path = environment::set(PATH).filter(|_| wanted() != Some(LevelFilter::OFF));
    let Some(path) = path.map(PathBuf::from) else { return Ok(()) };
    let file = append_to(&path).map_err(|error| {
        Error::from(error)
            .context(format_args!("the log cannot be written to {}", path.display()))
            .hint(format!("{PATH} names that file"))
    })?;
    // The members of a family share one, and so do a build and the commands that its scripts run.
    let is_part = [MEMBER_VARIABLE, "PACKER_BUILD_NAME"];
    let of_several = serves || is_part.into_iter().any(|name| std::env::var_os(name).is_some());
    let member = member_bucket().map(|bucket| format!("[{bucket}] ")).unwrap_or_default();
    let _ = FILE.set(LogFile { path, of_several, member, file: parking_lot::Mutex::new(file) });
    Ok(())
}

/// Opens the file of the log again: whoever rotates logs has renamed the one in use.
#[cfg_attr(not(all(unix, feature = "registry-server")), allow(dead_code))]
pub(super) fn reopen() {
    let Some(log) = FILE.get() else { return };
    // Opening a pipe waits for its reader.
    if !log.file.lock().metadata().is_ok_and(|about| about.is_file()) {
        return;
    }
    match append_to(&log.path) {
        Ok(file) => *log.file.lock() = file,
        Err(error) => {
            tracing::error!(%error, "the log's file cannot be opened again; the open one is kept");
        }
    }
}

/// What `PACKER_LOG` says; none if that is nothing.
fn wanted() -> Option<LevelFilter> {
    match std::env::var("PACKER_LOG").unwrap_or_default().to_uppercase().as_str() {
        "" => None,
        "0" | "OFF" => Some(LevelFilter::OFF),
        "TRACE" => Some(LevelFilter::TRACE),
        "INFO" => Some(LevelFilter::INFO),
        "WARN" => Some(LevelFilter::WARN),
        "ERROR" => Some(LevelFilter::ERROR),
        _ => Some(LevelFilter::DEBUG),
    }
}

/// Starts the log if the environment asks for one. Secrets are hidden in it as everywhere.
pub(super) fn start(redactor: Arc<Redactor>) {
    start_or(redactor, None);
}

/// As [`start`], for a command that shows things through `renderer`.
pub(super) fn start_with(renderer: &Renderer) {
    start(renderer.redactor());
    log_events(renderer);
}

/// As [`start`], with a level to log at if the environment says nothing.
pub(super) fn start_or(redactor: Arc<Redactor>, default: Option<LevelFilter>) {
    if let Some(lines) = lines(redactor, default, Box::new(std::io::stderr())) {
        begin(tracing_subscriber::registry().with(lines));
    }
}

/// As [`start_with`], for builds: their own logs get what happens, too, once `logs` holds them.
pub(super) fn start_for_builds(renderer: &Renderer, logs: Option<Slot>) {
    let lines = lines(renderer.redactor(), None, Box::new(renderer.log_writer()));
    // Libraries say little that helps, and much. What is shown is written down as it is.
    let own = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("ingot", LevelFilter::DEBUG)
        .with_targets([SHOWN, SHOWN_PROBLEM, FACT].map(|name| (name, LevelFilter::OFF)));
    let logs = logs.map(|logs| BuildLogLayer(logs).with_filter(own));
    if lines.is_some() || logs.is_some() {
        begin(tracing_subscriber::registry().with(lines).with(logs));
    }
    log_events(renderer);
}

/// Logs what `renderer` shows from now on.
fn log_events(renderer: &Renderer) {
    if FILE.get().is_some() {
        renderer.listen(Arc::new(log_event));
    }
}

/// Logs an event, which has no secrets in it any more.
fn log_event(event: &Event) {
    let line = |build: Option<&str>, text: &str| match build {
        Some(build) => prefixed(build, text),
        None => text.to_owned(),
    };
    match event {
        Event::Say { build, text } | Event::Message { build, text } => {
            log_shown(false, &line(build.as_deref(), text));
        }
        Event::Error { build, text } => log_shown(true, &line(build.as_deref(), text)),
        Event::Verdict { failed, text, .. } => log_shown(*failed, text),
        Event::Machine { build, kind, args } => {
            let build = build.as_deref().unwrap_or_default();
            let member = FILE.get().map(|log| log.member.as_str()).unwrap_or_default();
            tracing::debug!(target: FACT, "{member}{build},{kind} {args:?}");
        }
        _ => {}
    }
}

/// Logs what is shown, which must have no secrets in it. `problem` is whether something is wrong.
pub(super) fn log_shown(problem: bool, text: &str) {
    let Some(LogFile { member, .. }) = FILE.get() else { return };
    if !STARTED.load(Ordering::Acquire) {
        EARLY.lock().push((problem, text.to_owned()));
        return;
    }
    let text = plain(text);
    match (text.trim_matches('\n'), problem) {
        ("", _) => {}
        (text, true) => tracing::error!(target: SHOWN_PROBLEM, "{member}{text}"),
        (text, false) => tracing::info!(target: SHOWN, "{member}{text}"),
    }
}

fn begin(subscriber: impl tracing::Subscriber + Send + Sync) {
    // A log that is on already stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Ingot");
    STARTED.store(true, Ordering::Release);
    let early = std::mem::take(&mut *EARLY.lock());
    early.iter().for_each(|(problem, text)| log_shown(*problem, text));
}

/// Logs what was shown by a command that ends without having started its log: what the file has is
/// otherwise taken for this run's.
pub(super) fn finish() {
    let is_complete = EARLY.lock().is_empty();
    if !is_complete {
        start(Arc::new(Redactor::default()));
    }
}

/// The lines that the environment asks for, or else those of level `default`.
fn lines<S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(
    redactor: Arc<Redactor>,
    default: Option<LevelFilter>,
    stderr: Box<dyn Write + Send>,
) -> Option<impl Layer<S> + Send + Sync> {
    let file = FILE.get();
    let level = wanted().or(default).or(file.map(|_| LevelFilter::DEBUG))?;
    if level == LevelFilter::OFF {
        return None;
    }
    let target: Box<dyn Write + Send> = match file {
        None => stderr,
        Some(file) => {
            // As Packer's, it has one run.
            if !file.of_several {
                empty(&file.file.lock());
            }
            Box::new(ToFile(file))
        }
    };
    let writer = Mutex::new(Redacted { target, redactor });
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    Some(lines.with_filter(targets(level)))
}

/// Takes out what a file holds. Pipes and devices hold nothing.
fn empty(file: &File) {
    if file.metadata().is_ok_and(|about| about.is_file())
        && let Err(error) = file.set_len(0)
    {
        eprintln!("the log goes on after what is in {PATH}: {error}");
    }
}

/// Libraries that write whole requests and answers to the log, with passwords, keys and tokens that
/// nobody has masked yet; by how their names begin.
const TALKATIVE: [&str; 7] = ["aws_", "h2", "hyper", "reqwest", "tungstenite", "bollard", "oci_"];

/// Ingot's own lines at `level`. No library goes further than debugging, and those that would tell
/// secrets then say what is informative only.
fn targets(level: LevelFilter) -> Targets {
    let quiet = TALKATIVE.map(|name| (name, level.min(LevelFilter::INFO)));
    Targets::new()
        .with_default(level.min(LevelFilter::DEBUG))
        .with_target("ingot", level)
        .with_targets(quiet)
}

struct Redacted {
    target: Box<dyn Write + Send>,
    redactor: Arc<Redactor>,
}

impl Write for Redacted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.target.write_all(self.redactor.apply(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.target.flush()
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn no_library_writes_what_it_sends_and_gets() {
        let all = targets(LevelFilter::TRACE);
        assert!(all.would_enable("ingot_amazon::ebs", &Level::TRACE));
        assert!(all.would_enable("some_library", &Level::DEBUG));
        assert!(!all.would_enable("some_library", &Level::TRACE));
        for library in ["aws_smithy_runtime::client::orchestrator", "aws_sigv4", "hyper_util", "h2"]
        {
            assert!(!all.would_enable(library, &Level::DEBUG), "{library}");
            assert!(all.would_enable(library, &Level::INFO), "{library}");
        }
        assert!(!targets(LevelFilter::WARN).would_enable("aws_config", &Level::INFO));
    }
}
