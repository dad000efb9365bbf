//! What a run that failed ends with: for each build that did, the step, its place in the template,
//! its last lines, and the log that was kept. On standard error, as the log: standard output ends
//! with Packer's summary, of which scripts read the last lines.

use std::io::Write as _;

use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::source::{FileId, SourceMap, Span};
use ingot_report::{Build, Position, Report, Status};
use ingot_ui::Redactor;
use ingot_ui::ci::CiSystem;

use crate::build_logs::{BuildLogs, KeptLog};

/// How many failed builds are reported.
const TOLD: usize = 10;
/// How many characters of what went wrong stand beside the place.
const LABEL_LENGTH: usize = 200;

/// Keeps the logs of builds that failed or were stopped, and removes the others.
pub(super) fn keep_logs(logs: Option<&BuildLogs>, report: &Report) -> Vec<KeptLog> {
    let Some(logs) = logs else { return Vec::new() };
    let unfinished = |build: &&Build| matches!(build.status, Status::Failed | Status::Cancelled);
    let names: Vec<&str> =
        report.builds.iter().filter(unfinished).map(|build| build.name.as_str()).collect();
    logs.keep(&names)
}

/// Shows what failed.
pub(super) fn show(report: &Report, kept: &[KeptLog], sources: &SourceMap, redactor: &Redactor) {
    let mut diagnostics = Diagnostics::default();
    let failed = report.builds.iter().filter(|build| build.status == Status::Failed);
    let failed: Vec<&Build> = failed.collect();
    for build in failed.iter().take(TOLD) {
        let log = kept.iter().find(|log| log.build == build.name);
        diagnostics.push(diagnostic(build, log, sources));
    }
    if failed.len() > TOLD {
        let mut more = Diagnostic::error(format!("{} more builds failed", failed.len() - TOLD));
        if let Some(directory) = kept.first().and_then(|log| log.path.parent()) {
            more = more.note(format!("their logs are in {}", directory.display()));
        }
        diagnostics.push(more);
    }
    if diagnostics.is_empty() {
        return;
    }
    let color = super::may_color(&std::io::stderr());
    // An empty line after the output, where both streams lead to one place.
    let _ = std::io::stderr().write_all(b"\n");
    super::show(&diagnostics, sources, redactor, color);
}

fn diagnostic(build: &Build, log: Option<&KeptLog>, sources: &SourceMap) -> Diagnostic {
    let failure = build.failure.as_ref();
    let step = failure.and_then(|failure| failure.step.as_deref());
    let mut diagnostic = Diagnostic::error(match step {
        Some(step) => format!("build '{}' failed in {step}", build.name),
        None => format!("build '{}' failed", build.name),
    });
    let Some(failure) = failure else { return diagnostic };
    let message = failure.message.trim_end();
    let short = !message.contains('\n') && message.chars().count() <= LABEL_LENGTH;
    let span = failure.place.as_ref().and_then(|place| span_of(place, sources));
    if let Some(span) = span {
        diagnostic = diagnostic.at(span);
    } else if let Some(place) = &failure.place {
        diagnostic = diagnostic.note(format!("at {}:{}:{}", place.file, place.line, place.column));
    }
    diagnostic = match short && span.is_some() {
        true => diagnostic.label(message),
        false => diagnostic.note(message),
    };
    if !failure.output.is_empty() {
        // GitHub takes lines for commands though blanks are before them.
        let mark = if CiSystem::detect() == Some(CiSystem::GitHub) { "| " } else { "" };
        let lines: Vec<String> =
            failure.output.iter().map(|line| format!("{mark}{line}")).collect();
        let lines = lines.join("\n");
        diagnostic = diagnostic.note(format!("the last lines of its output:\n{lines}"));
    }
    if let Some(hint) = &failure.hint {
        diagnostic = diagnostic.help(hint);
    }
    if let Some(log) = log {
        diagnostic = diagnostic.note(where_it_is(log));
    }
    diagnostic
}

/// Where a log is, and what is wrong with it.
pub(super) fn where_it_is(log: &KeptLog) -> String {
    let path = log.path.display();
    match &log.flaw {
        Some(flaw) => format!("its log, which {flaw}, is {path}"),
        None => format!("its log is {path}"),
    }
}

/// What stands at a place, to the end of its line.
fn span_of(place: &Position, sources: &SourceMap) -> Option<Span> {
    let file = sources.names().position(|name| name == place.file)?;
    let file = FileId(u32::try_from(file).ok()?);
    let text = &sources.get(file).text;
    let before = text.split_inclusive('\n').take(place.line.checked_sub(1)?);
    let before: usize = before.map(str::len).sum();
    let line = text.get(before..)?.lines().next()?;
    let start = line.char_indices().nth(place.column.checked_sub(1)?).map_or(0, |(at, _)| at);
    let end = line.trim_end().trim_end_matches('{').trim_end().len().max(start);
    let offset = |at: usize| u32::try_from(before + at).ok();
    Some(Span { file, start: offset(start)?, end: offset(end)? })
}
