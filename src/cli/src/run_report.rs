//! What `ingot build` reports of a run besides its output: files of `-report`, and what CI systems
//! read.

use std::io::Write as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ingot_engine::{FileJournal, RunInfo};
use ingot_hcl::diagnostic::{self, Diagnostic, Diagnostics};
use ingot_hcl::source::{SourceMap, Span};
use ingot_report::{
    Position, Recorder, Report, ReportTarget, RunFacts, Severity, Status, markdown,
};
use ingot_sdk::{Error, Journal, OutputFile, Result, Ui, environment};
use ingot_ui::ci::{CiSystem, Level};
use ingot_ui::{Redactor, Renderer, plain};
use parking_lot::Mutex;

use super::args::BuildArgs;
use super::failures;
use crate::build_logs::BuildLogs;

/// How many of a build's lines are kept for reports.
const LOG_LINES: usize = 2000;
/// GitHub shows no more annotations of one kind than these.
const ANNOTATIONS: usize = 10;
/// How long a report waits for who reads the pipe that it is written to.
const PIPE_PATIENCE: Duration = Duration::from_secs(20);
/// How long a process that ends at once waits for its reports.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is reported of a run.
pub(super) struct RunReport {
    recorder: Arc<Recorder>,
    targets: Vec<ReportTarget>,
    ci: Option<CiSystem>,
    redactor: Arc<Redactor>,
    facts: Mutex<RunFacts>,
    /// Whether all could be written, once that was tried; held while it is.
    written: Mutex<Option<bool>>,
}

impl RunReport {
    /// Starts to listen to `renderer`.
    ///
    /// # Errors
    /// A report cannot be written where it shall be.
    pub(super) fn open(
        args: &BuildArgs,
        renderer: &Renderer,
        ci: Option<CiSystem>,
    ) -> Result<Arc<Self>, Diagnostic> {
        for (position, target) in args.report.iter().enumerate() {
            let path = target.path.display();
            if args.report[..position].iter().any(|other| other.path == target.path) {
                return Err(Diagnostic::error(format!("two reports would be written to {path}"))
                    .help("give each -report a file of its own"));
            }
            check(&target.path).map_err(|error| {
                Diagnostic::error(format!("the report {path} cannot be written: {error}"))
                    .help("name a file in a directory that can be written to")
            })?;
        }
        let lines = if args.report.is_empty() && ci.is_none() { 0 } else { LOG_LINES };
        let recorder = Recorder::new(lines);
        let listening = Arc::clone(&recorder);
        renderer.listen(Arc::new(move |event| listening.record(event)));
        let template = std::path::absolute(&args.template);
        let template = template.as_ref().unwrap_or(&args.template).display().to_string();
        Ok(Arc::new(RunReport {
            recorder,
            targets: args.report.clone(),
            ci,
            redactor: renderer.redactor(),
            facts: Mutex::new(RunFacts { template, ..RunFacts::default() }),
            written: Mutex::default(),
        }))
    }

    /// What is recorded of the builds.
    pub(super) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The run's id is `id`.
    pub(super) fn set_run(&self, id: &str) {
        id.clone_into(&mut self.facts.lock().id);
    }

    /// Takes what was found in the template to the report, and annotates it.
    pub(super) fn add(&self, diagnostics: &Diagnostics, sources: &SourceMap) {
        annotate(self.ci, diagnostics, sources, &self.redactor);
        let found = diagnostics.iter().map(|one| ingot_report::Diagnostic {
            severity: match one.severity {
                diagnostic::Severity::Error => Severity::Error,
                diagnostic::Severity::Warning => Severity::Warning,
            },
            message: one.message.clone(),
            place: one.span.map(|span| place(span, sources)),
            notes: one.notes.clone(),
        });
        self.facts.lock().diagnostics.extend(found);
    }

    /// Shows the logs of builds that failed, each in a group of lines, on a CI system that folds
    /// them: where builds run at once their lines are mixed.
    pub(super) fn fold_failed(&self, report: &Report, renderer: &Renderer) {
        let Some(ci) = self.ci else { return };
        for build in report.builds.iter().filter(|build| build.status == Status::Failed) {
            let (mut text, end) = ci.group(&format!("Log of build '{}'", build.name), true);
            // Each line begins with something: at its start it could be taken for a command.
            for line in &build.log.lines {
                text.push_str(&ci.harmless(&format!("| {}", line.text)));
                text.push('\n');
            }
            text.push_str(&end);
            renderer.raw(&text);
        }
    }

    /// The report as it is now.
    pub(super) fn report(&self) -> Report {
        let mut report = self.recorder.report(&self.facts.lock());
        // What is known to be secret by now may have been recorded before it was. Without what a
        // terminal would obey there may be secrets that were not seen before.
        report.map_texts(&|text| self.redactor.apply(&plain(&self.redactor.apply(text))));
        report
    }

    /// Writes the reports of a run that has ended with `status`, or as its builds say. Whether all
    /// could be written; failures are reported.
    pub(super) fn write(&self, status: Option<Status>) -> bool {
        // Who comes second waits for the first.
        let mut written = self.written.lock();
        *written.get_or_insert_with(|| self.write_all(status))
    }

    fn write_all(&self, status: Option<Status>) -> bool {
        if self.targets.is_empty() && self.ci.is_none() {
            return true;
        }
        self.facts.lock().status = status;
        let report = self.report();
        if self.ci == Some(CiSystem::GitHub) {
            annotate_failures(&report);
            summarize(&report);
        }
        let journal = journal(report.run.id.clone(), Path::new(&report.run.template));
        let mut all = true;
        for ReportTarget { format, path } in &self.targets {
            let written = format.write(&report, path).map_err(Error::from);
            if let Err(error) = written.and_then(|text| write_to(&journal, path, text)) {
                all = false;
                let message = format!("the report {} was not written: {error}", path.display());
                show(Diagnostic::error(message));
            }
        }
        all
    }

    /// Keeps the logs of the builds that run, and writes the reports, before the process ends at
    /// once.
    pub(super) fn write_now(self: &Arc<Self>, logs: Option<Arc<BuildLogs>>, ui: Ui) {
        let (done, waiting) = std::sync::mpsc::channel();
        let report = Arc::clone(self);
        std::thread::spawn(move || {
            let kept = failures::keep_logs(logs.as_deref(), &report.report());
            for log in &kept {
                report.recorder.log_file(&log.build, log.path.display().to_string());
            }
            report.write(Some(Status::Cancelled));
            // Last: nobody may read it.
            for log in &kept {
                ui.error(format!("Build '{}': {}", log.build, failures::where_it_is(log)));
            }
            let _ = done.send(());
        });
        let _ = waiting.recv_timeout(PATIENCE);
    }
}

/// Shows a diagnostic that is about no source.
pub(super) fn show(diagnostic: Diagnostic) {
    let color = super::may_color(&std::io::stderr());
    let diagnostics = Diagnostics::from(diagnostic);
    super::show(&diagnostics, &SourceMap::default(), &Redactor::default(), color);
}

/// Whether a report can be written to `path`. Nothing is left there.
fn check(path: &Path) -> Result<()> {
    if let Ok(there) = std::fs::metadata(path).map(|there| there.file_type())
        && !there.is_file()
        && !there.is_dir()
    {
        // Pipes wait for their reader when they are opened; the process's own have had one.
        let own = ["/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/"];
        let own = own.iter().any(|own| path.to_string_lossy().starts_with(own));
        return match own || there.is_char_device() {
            true => Ok(()),
            false => Err(Error::new(format!("{} is not a regular file", path.display()))),
        };
    }
    OutputFile::create(&journal(String::new(), path), path, 0o666).map(drop)
}

/// The journal of what is created for a report.
fn journal(run: String, template: &Path) -> Arc<dyn Journal> {
    // Builds print the warning.
    let _ = ingot_engine::journal::choose_directory();
    FileJournal::new(RunInfo::new(run, template)).of_build("report")
}

/// Writes a report: whole, or not at all where that can be.
fn write_to(journal: &Arc<dyn Journal>, path: &Path, text: String) -> Result<()> {
    let write = move |journal: &Arc<dyn Journal>, path: &Path| {
        OutputFile::create(journal, path, 0o666)?.finish_with(text.as_bytes()).map(drop)
    };
    if std::fs::metadata(path).map_or(true, |there| there.is_file()) {
        return write(journal, path);
    }
    // Nobody may read a pipe any more.
    let (done, waiting) = std::sync::mpsc::channel();
    let (journal, owned) = (Arc::clone(journal), path.to_owned());
    std::thread::spawn(move || {
        let _ = done.send(write(&journal, &owned));
    });
    let waited = waiting.recv_timeout(PIPE_PATIENCE);
    waited.unwrap_or_else(|_| Err(Error::new("nobody reads it")))
}

/// Where a span begins.
fn place(span: Span, sources: &SourceMap) -> Position {
    let (line, column) = sources.position(span);
    Position { file: sources.get(span.file).name.clone(), line, column }
}

/// Annotates the places of diagnostics, on a CI system that takes that.
pub(super) fn annotate(
    ci: Option<CiSystem>,
    diagnostics: &Diagnostics,
    sources: &SourceMap,
    redactor: &Redactor,
) {
    let Some(ci) = ci else { return };
    let (mut errors, mut warnings) = (0, 0);
    for one in diagnostics.iter() {
        let (level, title, count) = match one.severity {
            diagnostic::Severity::Error => (Level::Error, "Invalid template", &mut errors),
            diagnostic::Severity::Warning => (Level::Warning, "Template", &mut warnings),
        };
        *count += 1;
        if *count > ANNOTATIONS {
            continue;
        }
        let at = one.span.filter(|span| sources.get(span.file).path.is_some());
        let at = at.map(|span| place(span, sources));
        let at = at.as_ref().map(|at| (at.file.as_str(), at.line, at.column));
        let text: Vec<&str> =
            [&one.message].into_iter().chain(&one.notes).map(String::as_str).collect();
        write_line(ci.annotation(level, at, title, &redactor.apply(&text.join("\n"))));
    }
}

/// Annotates the steps that failed.
fn annotate_failures(report: &Report) {
    let failed = report.builds.iter().filter(|build| build.status == Status::Failed);
    for build in failed.take(ANNOTATIONS) {
        let Some(failure) = &build.failure else { continue };
        let at = failure.place.as_ref();
        let at = at.map(|at| (at.file.as_str(), at.line, at.column));
        let title = format!("Build '{}' failed", build.name);
        let message = match &failure.step {
            Some(step) => format!("{step}: {}", failure.message),
            None => failure.message.clone(),
        };
        write_line(CiSystem::GitHub.annotation(Level::Error, at, &title, &message));
    }
}

/// Workflow commands go to standard error, so that standard output is what it is elsewhere.
fn write_line(line: Option<String>) {
    if let Some(line) = line {
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Adds to the summary of the job.
fn summarize(report: &Report) {
    let Some(path) = environment::set("GITHUB_STEP_SUMMARY") else { return };
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let text = markdown::summary(report);
    if let Err(error) = opened.and_then(|mut file| file.write_all(text.as_bytes())) {
        tracing::warn!(%error, "cannot write the summary of the job");
    }
}
