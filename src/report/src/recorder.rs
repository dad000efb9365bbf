//! Keeps what happens in a run, within bounds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ingot_sdk::{DocumentKind, Event};
use parking_lot::Mutex;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::build_record::BuildRecord;
use super::model::{
    Build, Diagnostic, Document, LogLine, Report, Run, Severity, Status, Stream, VERSION,
};

/// How many lines of a build are kept at least, among which its errors are looked for.
const LEAST_LINES: usize = 300;
/// How many characters of a line are kept.
const LINE_LENGTH: usize = 2000;
/// Keeps what happens in a run. Its events must have no secrets in them any more.
pub struct Recorder {
    started: Instant,
    started_at: OffsetDateTime,
    /// How many of a build's last lines are kept.
    log_lines: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    builds: Vec<BuildRecord>,
    index: BTreeMap<Arc<str>, usize>,
}

/// What a report says of the run as a whole that no event tells.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    /// Its id.
    pub id: String,
    /// The template: a file or a directory, as an absolute path.
    pub template: String,
    /// How it went, where builds alone do not say.
    pub status: Option<Status>,
    /// What was found in the template.
    pub diagnostics: Vec<Diagnostic>,
}

impl Recorder {
    /// One that keeps the last `log_lines` lines of each build, or more.
    pub fn new(log_lines: usize) -> Arc<Self> {
        Arc::new(Recorder {
            started: Instant::now(),
            started_at: OffsetDateTime::now_utc(),
            log_lines: log_lines.max(LEAST_LINES),
            state: Mutex::default(),
        })
    }

    /// These builds will run, in this order.
    pub fn expect<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let mut state = self.state.lock();
        for name in names {
            state.build(&name.into());
        }
    }

    /// The debug log of a build was kept.
    pub fn log_file(&self, build: &str, path: String) {
        self.state.lock().build(&build.into()).log_file = Some(path);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Keeps an event.
    pub fn record(&self, event: &Event) {
        let now = self.now();
        let mut state = self.state.lock();
        match event {
            Event::Say { build: Some(name), text } | Event::Message { build: Some(name), text } => {
                self.lines(&mut state, name, Stream::Output, text, now);
            }
            Event::Error { build: Some(name), text } => {
                self.lines(&mut state, name, Stream::Error, text, now);
            }
            Event::BuildStart { build, place } => {
                let build = state.build(build);
                build.place = place.clone();
                build.started = Some(now);
            }
            Event::BuildEnd { build, outcome, hint, artifacts } => {
                let build = state.build(build);
                build.ended = Some((now, outcome.clone()));
                build.hint = hint.clone();
                build.artifacts = artifacts.clone();
            }
            Event::StepStart { build, id, step } => state.build(build).begin(*id, step, now),
            Event::StepEnd { build, id, outcome } => state.build(build).end(*id, outcome, now),
            Event::Document { build: Some(name), kind, path } => {
                let kind = match kind {
                    DocumentKind::Sbom => "sbom",
                    DocumentKind::Provenance => "provenance",
                };
                if let Some(build) = state.owner(name) {
                    build.documents.push(Document { kind: kind.to_owned(), path: path.clone() });
                }
            }
            _ => {}
        }
    }

    fn lines(&self, state: &mut State, name: &Arc<str>, stream: Stream, text: &str, now: u64) {
        let Some(build) = state.owner(name) else { return };
        for line in text.trim_end().split('\n') {
            build.lines += 1;
            if build.log.len() >= self.log_lines {
                build.log.pop_front();
            }
            let text = line.chars().take(LINE_LENGTH).collect();
            build.log.push_back(LogLine { offset_ms: now, stream, text });
        }
    }

    /// The report as of now. Running builds are reported as cancelled: whoever asks then ends them.
    pub fn report(&self, facts: &RunFacts) -> Report {
        let now = self.now();
        let state = self.state.lock();
        let builds: Vec<Build> = state.builds.iter().map(|build| build.report(now)).collect();
        let all = |status| builds.iter().any(|build| build.status == status);
        let broken = facts.diagnostics.iter().any(|one| one.severity == Severity::Error);
        let status = match facts.status {
            Some(status) => status,
            None if broken || all(Status::Failed) => Status::Failed,
            None if all(Status::Cancelled) || all(Status::NotRun) => Status::Cancelled,
            None if all(Status::Tolerated) => Status::Tolerated,
            None => Status::Succeeded,
        };
        Report {
            version: VERSION,
            ingot: env!("CARGO_PKG_VERSION").to_owned(),
            run: Run {
                id: facts.id.clone(),
                template: facts.template.clone(),
                started: self.started_at.format(&Rfc3339).unwrap_or_default(),
                duration_ms: now,
                status,
            },
            diagnostics: facts.diagnostics.clone(),
            builds,
        }
    }
}

impl State {
    /// The record of a build.
    fn build(&mut self, name: &Arc<str>) -> &mut BuildRecord {
        let position = *self.index.entry(Arc::clone(name)).or_insert_with(|| {
            self.builds.push(BuildRecord::new(name));
            self.builds.len() - 1
        });
        &mut self.builds[position]
    }

    /// The record of the build that is called `speaker`, or has a step called `speaker`.
    fn owner(&mut self, speaker: &str) -> Option<&mut BuildRecord> {
        let found = self.index.get(speaker);
        let found = found.or_else(|| self.index.get(speaker.rsplit_once(" (")?.0));
        found.copied().and_then(|position| self.builds.get_mut(position))
    }
}

#[cfg(test)]
mod tests {
    use ingot_sdk::{StepInfo, StepKind, StepOutcome, TemplatePlace};

    use super::*;
    use crate::build_record::OUTPUT_LINES;

    fn name() -> Arc<str> {
        "null.a".into()
    }

    fn say(recorder: &Recorder, build: &str, text: &str) {
        recorder.record(&Event::Say { build: Some(build.into()), text: text.into() });
    }

    fn begin(recorder: &Recorder, id: u64, kind: StepKind, name_of: &str, line: usize) {
        let mut step = StepInfo::new(kind, name_of).numbered(1, 2);
        step.place = (line > 0).then(|| TemplatePlace { file: "t".into(), line, column: 3 });
        recorder.record(&Event::StepStart { build: name(), id, step });
    }

    fn end(recorder: &Recorder, id: u64, outcome: StepOutcome) {
        recorder.record(&Event::StepEnd { build: name(), id, outcome });
    }

    fn build_end(recorder: &Recorder, outcome: StepOutcome) {
        let artifacts = Vec::new();
        recorder.record(&Event::BuildEnd { build: name(), outcome, hint: None, artifacts });
    }

    #[test]
    fn the_innermost_step_that_failed_is_named_with_its_own_output() {
        let recorder = Recorder::new(100);
        recorder.expect(["null.a", "null.b"]);
        recorder.record(&Event::BuildStart { build: name(), place: None });
        let failed = || StepOutcome::Failed("exit 3".into());
        begin(&recorder, 1, StepKind::Builder, "null", 5);
        begin(&recorder, 2, StepKind::Provisioner, "shell", 10);
        say(&recorder, "null.a", "tolerated output");
        end(&recorder, 2, StepOutcome::Tolerated("no".into()));
        begin(&recorder, 3, StepKind::Provisioner, "shell", 20);
        say(&recorder, "null.a", "one\ntwo");
        say(&recorder, "null.a (shell)", "three");
        say(&recorder, "null.other", "of nobody");
        end(&recorder, 3, failed());
        begin(&recorder, 4, StepKind::Cleanup, "clean up", 0);
        say(&recorder, "null.a", "cleaning up");
        end(&recorder, 4, StepOutcome::Succeeded);
        end(&recorder, 1, failed());
        build_end(&recorder, failed());
        let report = recorder.report(&RunFacts::default());
        let [a, b] = &report.builds[..] else { panic!("{report:?}") };
        let failure = a.failure.as_ref().unwrap();
        assert_eq!(failure.step.as_deref(), Some("provisioner `shell` (1 of 2)"));
        assert_eq!(failure.place.as_ref().unwrap().line, 20);
        assert_eq!(failure.output, ["one", "two", "three"]);
        assert_eq!(a.log.lines.len(), 5);
        assert_eq!((b.status, report.run.status), (Status::NotRun, Status::Failed));
        assert_eq!(
            a.steps.iter().map(|s| s.parent).collect::<Vec<_>>(),
            [None, Some(1), Some(1), Some(1)]
        );
    }

    #[test]
    fn a_cleanup_that_succeeds_recovers_from_nothing() {
        let recorder = Recorder::new(100);
        let failed = || StepOutcome::Failed("exit 1".into());
        begin(&recorder, 1, StepKind::Builder, "docker", 5);
        begin(&recorder, 2, StepKind::BuilderStep, "provision", 0);
        begin(&recorder, 3, StepKind::Provisioner, "shell", 10);
        end(&recorder, 3, failed());
        end(&recorder, 2, failed());
        begin(&recorder, 4, StepKind::Cleanup, "clean up", 0);
        end(&recorder, 4, StepOutcome::Succeeded);
        end(&recorder, 1, failed());
        build_end(&recorder, failed());
        let report = recorder.report(&RunFacts::default());
        let failure = report.builds[0].failure.clone().unwrap();
        assert_eq!(failure.step.as_deref(), Some("provisioner `shell` (1 of 2)"));
    }

    #[test]
    fn what_was_recovered_from_is_no_failure_and_a_builder_lends_its_place() {
        let recorder = Recorder::new(100);
        begin(&recorder, 1, StepKind::Builder, "docker", 5);
        begin(&recorder, 2, StepKind::BuilderStep, "provision", 0);
        begin(&recorder, 3, StepKind::Provisioner, "shell", 10);
        end(&recorder, 3, StepOutcome::Failed("first".into()));
        end(&recorder, 2, StepOutcome::Tolerated("first".into()));
        begin(&recorder, 4, StepKind::BuilderStep, "commit", 0);
        end(&recorder, 4, StepOutcome::Failed("second".into()));
        end(&recorder, 1, StepOutcome::Failed("second".into()));
        build_end(&recorder, StepOutcome::Failed("second".into()));
        let report = recorder.report(&RunFacts::default());
        let failure = report.builds[0].failure.clone().unwrap();
        assert_eq!(failure.step.as_deref(), Some("step `commit` of the builder"));
        assert_eq!(failure.place.unwrap().line, 5);
        assert!(failure.output.is_empty());
    }

    #[test]
    fn the_last_errors_are_among_the_last_lines() {
        let recorder = Recorder::new(100);
        begin(&recorder, 1, StepKind::Provisioner, "shell", 1);
        recorder.record(&Event::Error { build: Some(name()), text: "no such package".into() });
        (0..30).for_each(|number| say(&recorder, "null.a", &format!("line {number}")));
        end(&recorder, 1, StepOutcome::Failed("no".into()));
        build_end(&recorder, StepOutcome::Failed("no".into()));
        let output =
            recorder.report(&RunFacts::default()).builds[0].failure.clone().unwrap().output;
        assert_eq!((output.len(), output[0].as_str()), (OUTPUT_LINES, "no such package"));
        assert_eq!((output[1].as_str(), output[19].as_str()), ("line 11", "line 29"));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let recorder = Recorder::new(0);
        recorder.expect(["null.a"]);
        for number in 0..400 {
            say(&recorder, "null.a", &number.to_string());
        }
        say(&recorder, "null.a", &"x".repeat(100_000));
        let report = recorder.report(&RunFacts::default());
        let log = &report.builds[0].log;
        assert_eq!((log.lines.len(), log.omitted), (300, 101));
        assert_eq!(log.lines[299].text.len(), LINE_LENGTH);
    }
}
