//! What is kept of one build and its steps.

use std::collections::VecDeque;
use std::sync::Arc;

use ingot_sdk::{ArtifactSummary, StepInfo, StepKind, StepOutcome, TemplatePlace};

use super::model::{
    Artifact, ArtifactFile, Build, Document, Failure, Log, LogLine, Position, RegistryVersion,
    Status, Step, Stream,
};
use super::shown::describe;

/// How many of a step's last lines go with its failure.
pub(super) const OUTPUT_LINES: usize = 20;
/// How many of these are of standard error, if there are so many.
const ERROR_LINES: usize = 5;
/// How many steps of a build are kept: one that is retried for ever must not fill the memory.
const MAX_STEPS: usize = 5000;
/// Packer's heading of the only post-processor that failed. It says nothing beside the step and its place.
const ONE_FAILURE: &str = "1 error(s) occurred:\n\n* ";

/// What is kept of one build.
#[derive(Default)]
pub(super) struct BuildRecord {
    pub name: Arc<str>,
    pub place: Option<TemplatePlace>,
    pub started: Option<u64>,
    pub ended: Option<(u64, StepOutcome)>,
    pub hint: Option<String>,
    steps: Vec<StepRecord>,
    /// The positions in `steps` of those that run, the innermost last.
    running: Vec<usize>,
    /// What failed, as far as nothing around it has recovered.
    failed: Option<FailedStep>,
    pub log: VecDeque<LogLine>,
    /// How many lines there were.
    pub lines: u64,
    pub log_file: Option<String>,
    pub artifacts: Vec<ArtifactSummary>,
    pub documents: Vec<Document>,
}

struct StepRecord {
    id: u64,
    parent: Option<u64>,
    info: StepInfo,
    started: u64,
    ended: Option<(u64, StepOutcome)>,
    /// How many lines the build had said before.
    lines_before: u64,
}

struct FailedStep {
    position: usize,
    depth: usize,
    output: Vec<String>,
}

impl BuildRecord {
    /// That of the build called `name`, which has not started.
    pub(super) fn new(name: &Arc<str>) -> BuildRecord {
        BuildRecord { name: Arc::clone(name), ..BuildRecord::default() }
    }

    /// A step begins at `now`, in milliseconds since the run began.
    pub(super) fn begin(&mut self, id: u64, info: &StepInfo, now: u64) {
        if self.steps.len() >= MAX_STEPS {
            return;
        }
        let parent = self.running.last().map(|position| self.steps[*position].id);
        self.running.push(self.steps.len());
        self.steps.push(StepRecord {
            id,
            parent,
            info: info.clone(),
            started: now,
            ended: None,
            lines_before: self.lines,
        });
    }

    /// A step ends.
    pub(super) fn end(&mut self, id: u64, outcome: &StepOutcome, now: u64) {
        let found = self.running.iter().rposition(|position| self.steps[*position].id == id);
        let Some(depth) = found else { return };
        let position = self.running[depth];
        self.running.truncate(depth);
        self.steps[position].ended = Some((now, outcome.clone()));
        match outcome {
            StepOutcome::Failed(_) if self.failed.is_none() => {
                // Those around it fail with it; the innermost says why.
                let output = self.output_since(self.steps[position].lines_before);
                self.failed = Some(FailedStep { position, depth, output });
            }
            // What is around a failure has failed as well: a step beside it that succeeds, such as
            // the cleanup, recovers from nothing.
            StepOutcome::Failed(_) | StepOutcome::Cancelled => {
                if let Some(failed) = self.failed.as_mut().filter(|failed| failed.depth > depth) {
                    failed.depth = depth;
                }
            }
            // What failed inside of it was recovered from.
            StepOutcome::Succeeded | StepOutcome::Tolerated(_)
                if self.failed.as_ref().is_some_and(|failed| failed.depth > depth) =>
            {
                self.failed = None;
            }
            _ => {}
        }
    }

    /// The last lines after the first `before`. Standard error and standard output come on ways of
    /// their own: the last lines of the former are among them though many of the latter follow.
    fn output_since(&self, before: u64) -> Vec<String> {
        let count = usize::try_from(self.lines - before).unwrap_or(usize::MAX);
        let lines = self.log.iter().skip(self.log.len().saturating_sub(count));
        let lines: Vec<&LogLine> = lines.collect();
        let (older, last) = lines.split_at(lines.len().saturating_sub(OUTPUT_LINES));
        let in_last = last.iter().filter(|line| line.stream == Stream::Error).count();
        let wanted = ERROR_LINES.saturating_sub(in_last);
        let errors = older.iter().filter(|line| line.stream == Stream::Error);
        let mut kept: Vec<&LogLine> = errors.rev().take(wanted).copied().collect();
        kept.reverse();
        let first = kept.len().min(last.len());
        kept.extend(&last[first..]);
        kept.iter().map(|line| line.text.clone()).collect()
    }

    /// The block of a step, or else of what it is part of.
    fn place_of(&self, position: usize) -> Option<&TemplatePlace> {
        let mut step = self.steps.get(position);
        while let Some(found) = step {
            if found.info.place.is_some() {
                return found.info.place.as_ref();
            }
            step = self.steps.iter().find(|other| Some(other.id) == found.parent);
        }
        self.place.as_ref()
    }

    /// What is known of the build at `now`.
    pub(super) fn report(&self, now: u64) -> Build {
        let failure = match &self.ended {
            Some((_, StepOutcome::Failed(message) | StepOutcome::Tolerated(message))) => {
                let step = self.failed.as_ref();
                let record = step.map(|step| &self.steps[step.position]);
                let place = match step {
                    Some(step) => self.place_of(step.position),
                    None => self.place.as_ref(),
                };
                Some(Failure {
                    message: message.strip_prefix(ONE_FAILURE).unwrap_or(message).to_owned(),
                    hint: self.hint.clone(),
                    step: record.map(|record| describe(&record.info)),
                    step_id: record.map(|record| record.id),
                    place: place.map(shown_place),
                    output: step.map_or_else(Vec::new, |step| step.output.clone()),
                })
            }
            _ => None,
        };
        let started = self.started.unwrap_or(now);
        let version = self.artifacts.iter().find_map(|one| one.registry_version.as_ref());
        Build {
            name: self.name.to_string(),
            place: self.place.as_ref().map(shown_place),
            status: match (&self.ended, self.started) {
                (Some((_, outcome)), _) => status(outcome),
                (None, Some(_)) => Status::Cancelled,
                (None, None) => Status::NotRun,
            },
            offset_ms: started,
            duration_ms: self.ended.as_ref().map_or(now, |(at, _)| *at).saturating_sub(started),
            failure,
            steps: self.steps.iter().map(|step| step.report(now)).collect(),
            log: Log {
                omitted: self.lines - self.log.len() as u64,
                lines: self.log.iter().cloned().collect(),
            },
            log_file: self.log_file.clone(),
            artifacts: self.artifacts.iter().map(artifact).collect(),
            registry_version: version.map(|version| RegistryVersion {
                registry: version.registry.clone(),
                bucket: version.bucket.clone(),
                version_id: version.version_id.clone(),
                fingerprint: version.fingerprint.clone(),
            }),
            documents: self.documents.clone(),
        }
    }
}

impl StepRecord {
    fn report(&self, now: u64) -> Step {
        let ended = self.ended.as_ref();
        Step {
            id: self.id,
            parent: self.parent,
            kind: kind(self.info.kind).to_owned(),
            name: self.info.name.clone(),
            label: self.info.label.clone(),
            number: self.info.number.map(|(number, _)| number),
            of: self.info.number.map(|(_, of)| of),
            place: self.info.place.as_ref().map(shown_place),
            status: ended.map_or(Status::Cancelled, |(_, outcome)| status(outcome)),
            offset_ms: self.started,
            duration_ms: ended.map_or(now, |(at, _)| *at).saturating_sub(self.started),
            error: match ended {
                Some((_, StepOutcome::Failed(why) | StepOutcome::Tolerated(why))) => {
                    Some(why.clone())
                }
                _ => None,
            },
        }
    }
}

fn kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Builder => "builder",
        StepKind::BuilderStep => "builder_step",
        StepKind::Provisioner => "provisioner",
        StepKind::ErrorCleanup => "error_cleanup_provisioner",
        StepKind::Cleanup => "cleanup",
        StepKind::Test => "test",
        StepKind::Check => "check",
        StepKind::PostProcessor => "post_processor",
        StepKind::Publish => "publish",
    }
}

fn status(outcome: &StepOutcome) -> Status {
    match outcome {
        StepOutcome::Succeeded => Status::Succeeded,
        StepOutcome::Failed(_) => Status::Failed,
        StepOutcome::Tolerated(_) => Status::Tolerated,
        StepOutcome::Cancelled => Status::Cancelled,
        StepOutcome::Skipped => Status::Skipped,
    }
}

fn shown_place(place: &TemplatePlace) -> Position {
    Position { file: place.file.clone(), line: place.line, column: place.column }
}

fn artifact(artifact: &ArtifactSummary) -> Artifact {
    let files: Vec<ArtifactFile> = artifact
        .files
        .iter()
        .map(|path| {
            // Of a directory the size says nothing.
            let size = std::fs::metadata(path).ok().filter(|found| found.is_file());
            ArtifactFile { path: path.clone(), size: size.map(|found| found.len()) }
        })
        .collect();
    let sizes: Option<Vec<u64>> = files.iter().map(|file| file.size).collect();
    let of_files = sizes.filter(|sizes| !sizes.is_empty()).map(|sizes| sizes.iter().sum());
    Artifact {
        builder_id: artifact.builder_id.clone(),
        id: artifact.id.clone(),
        description: artifact.description.clone(),
        size: artifact.size.or(of_files),
        files,
    }
}
