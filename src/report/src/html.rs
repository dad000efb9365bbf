//! The report as one HTML page that needs nothing else: no script, no other file.

use std::path::{Component, Path, PathBuf};

use ingot_sdk::byte_size;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::model::{
    Artifact, Build, Diagnostic, Failure, Position, Report, Severity, Status, Step, Stream,
};
use super::shown::{describe_step, duration};

const STYLE: &str = include_str!("report.css");

/// The whole page.
pub(super) fn page(report: &Report, path: &Path) -> String {
    let run = &report.run;
    let title = format!("{} – {}", run.template, run.status.name());
    // Maud escapes every text that is not marked as markup.
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Build report" }
                    p.template { code { (run.template) } }
                    dl.facts {
                        div { dt { "Status" } dd { (badge(run.status)) } }
                        div { dt { "Started" } dd { time datetime=(run.started) { (moment(&run.started)) } } }
                        div { dt { "Duration" } dd { (duration(run.duration_ms)) } }
                        div { dt { "Builds" } dd { (counts(report)) } }
                    }
                }
                main {
                    @if !report.diagnostics.is_empty() { (diagnostics(&report.diagnostics)) }
                    @if !report.builds.is_empty() { (overview(report)) }
                    @for (number, build) in report.builds.iter().enumerate() {
                        (build_section(number, build, path))
                    }
                }
                footer {
                    p { "Ingot " (report.ingot) " · run " code { (run.id) } }
                }
            }
        }
    };
    page.into_string()
}

/// Words of which those in backticks are names.
fn words(text: &str) -> Markup {
    html! {
        @for (number, part) in text.split('`').enumerate() {
            @if number % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn counts(report: &Report) -> String {
    let builds = &report.builds;
    let of = |wanted| builds.iter().filter(|build| build.status == wanted).count();
    let all = [
        Status::Succeeded,
        Status::Failed,
        Status::Tolerated,
        Status::Cancelled,
        Status::Skipped,
        Status::NotRun,
    ];
    let parts = all.map(|status| (of(status), status.name())).into_iter();
    let parts = parts.filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, name)| format!("{count} {name}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

/// A time of RFC 3339, to the second.
fn moment(time: &str) -> String {
    match time.get(..19) {
        Some(start) => format!("{} UTC", start.replace('T', " ")),
        None => time.to_owned(),
    }
}

fn class(status: Status) -> &'static str {
    match status {
        Status::Succeeded => "good",
        Status::Failed => "bad",
        Status::Tolerated => "warn",
        Status::Cancelled | Status::Skipped | Status::NotRun => "dim",
    }
}

fn badge(status: Status) -> Markup {
    html! { span class={ "badge " (class(status)) } { (status.name()) } }
}

fn place(place: &Position) -> Markup {
    html! { code.place { (place.file) ":" (place.line) ":" (place.column) } }
}

fn diagnostics(all: &[Diagnostic]) -> Markup {
    html! {
        section aria-labelledby="template" {
            h2 id="template" { "Template" }
            ul.diagnostics {
                @for one in all {
                    @let (status, word) = match one.severity {
                        Severity::Error => ("bad", "error"),
                        Severity::Warning => ("warn", "warning"),
                    };
                    li {
                        p { span class={ "badge " (status) } { (word) } " " (one.message) }
                        @if let Some(at) = &one.place { p { (place(at)) } }
                        @for note in &one.notes { p.note { (note) } }
                    }
                }
            }
        }
    }
}

/// The whole run as one table: when each build ran.
fn overview(report: &Report) -> Markup {
    let whole = report.run.duration_ms;
    html! {
        section aria-labelledby="builds" {
            h2 id="builds" { "Builds" }
            table.timeline {
                caption.hidden { "All builds with their start and duration" }
                thead { tr {
                    th scope="col" { "Build" } th scope="col" { "Status" }
                    th scope="col" { "Start" } th scope="col" { "Duration" }
                    th.track scope="col" { "Timeline" }
                } }
                tbody {
                    @for (number, build) in report.builds.iter().enumerate() {
                        tr {
                            th scope="row" { a href={ "#build-" (number) } { (build.name) } }
                            td { (badge(build.status)) }
                            @if build.status == Status::NotRun {
                                td {} td {} td.track {}
                            } @else {
                                td.number { "+" (duration(build.offset_ms)) }
                                td.number { (duration(build.duration_ms)) }
                                td.track {
                                    (bar(build.offset_ms, build.duration_ms, whole, build.status))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A bar on a track that is `whole` long. The numbers beside it say the same.
fn bar(offset: u64, length: u64, whole: u64, status: Status) -> Markup {
    let percent = |value: u64| (value as f64 * 100.0 / whole.max(1) as f64).clamp(0.0, 100.0);
    let (left, width) = (percent(offset).min(99.5), percent(length).max(0.5));
    let width = width.min(100.0 - left);
    html! {
        div.bar aria-hidden="true" {
            div class=(class(status)) style={ "margin-left:" (format!("{left:.2}")) "%;width:" (format!("{width:.2}")) "%" } {}
        }
    }
}

fn build_section(number: usize, build: &Build, page: &Path) -> Markup {
    let id = format!("build-{number}");
    html! {
        section.build aria-labelledby=(id) {
            h2 id=(id) { (build.name) " " (badge(build.status)) }
            @if let Some(at) = &build.place { p { "Source: " (place(at)) } }
            @if let Some(why) = &build.failure { (failure(why)) }
            @if !build.steps.is_empty() { (steps(build)) }
            @if !build.artifacts.is_empty() { (artifacts(&build.artifacts)) }
            @if let Some(version) = &build.registry_version {
                h3 { "Registry" }
                p { "Published to " (version.registry) ": bucket " code { (version.bucket) }
                    ", version " code { (version.version_id) }
                    ", fingerprint " code { (version.fingerprint) } }
            }
            @if !build.documents.is_empty() {
                h3 { "SBOMs and attestations" }
                ul {
                    @for document in &build.documents {
                        @let path = document.path.display().to_string();
                        @let kind = match document.kind.as_str() {
                            "sbom" => "SBOM",
                            _ => "Provenance",
                        };
                        li { (kind) ": " a href=(link(&document.path, page)) { (path) } }
                    }
                }
            }
            @if !build.log.lines.is_empty() { (log(build)) }
            @if let Some(path) = &build.log_file {
                p { "Debug log: " code { (path) } }
            }
        }
    }
}

/// A path as a reference in the page at `page`. It is never taken for a scheme such as
/// `javascript:`.
fn link(path: &Path, page: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (path, page) = (absolute(path), absolute(page));
    let directory: Vec<Component> = page.parent().into_iter().flat_map(Path::components).collect();
    let parts: Vec<Component> = path.components().collect();
    let common = parts.iter().zip(&directory).take_while(|(one, other)| one == other).count();
    let mut url = "../".repeat(directory.len() - common);
    if url.is_empty() {
        url.push_str("./");
    }
    let rest: PathBuf = parts[common..].iter().collect();
    for byte in rest.to_string_lossy().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                url.push(char::from(byte));
            }
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url
}

fn failure(why: &Failure) -> Markup {
    html! {
        div.failure role="group" aria-label="Failure" {
            @if let Some(step) = &why.step { p.step { "Failed in " (words(step)) } }
            @if let Some(at) = &why.place { p { "at " (place(at)) } }
            pre { (why.message) }
            @if let Some(hint) = &why.hint { p.note { "Help: " (hint) } }
            @if !why.output.is_empty() {
                p { "The last lines of its output:" }
                pre tabindex="0" { @for line in &why.output { (line) "\n" } }
            }
        }
    }
}

fn steps(build: &Build) -> Markup {
    let depth = |step: &Step| {
        let parent = |id: u64| build.steps.iter().find(|other| other.id == id)?.parent;
        std::iter::successors(step.parent, |id| parent(*id)).count().min(3)
    };
    html! {
        h3 { "Steps" }
        table.timeline {
            caption.hidden { "Steps of " (build.name) " with their start and duration" }
            thead { tr {
                th scope="col" { "Step" } th scope="col" { "Status" }
                th scope="col" { "Start" } th scope="col" { "Duration" }
                th.track scope="col" { "Timeline" }
            } }
            tbody {
                @for step in &build.steps {
                    tr {
                        th scope="row" class={ "depth-" (depth(step)) } {
                            (words(&describe_step(step)))
                            @if let Some(at) = &step.place { " " (place(at)) }
                        }
                        td { (badge(step.status)) }
                        td.number { "+" (duration(step.offset_ms.saturating_sub(build.offset_ms))) }
                        td.number { (duration(step.duration_ms)) }
                        td.track {
                            (bar(step.offset_ms.saturating_sub(build.offset_ms), step.duration_ms,
                                build.duration_ms, step.status))
                        }
                    }
                }
            }
        }
    }
}

fn artifacts(all: &[Artifact]) -> Markup {
    html! {
        h3 { "Artifacts" }
        ul.artifacts {
            @for one in all {
                li {
                    p { (one.description) }
                    dl.facts {
                        @if !one.id.is_empty() { div { dt { "Id" } dd { code { (one.id) } } } }
                        @if let Some(size) = one.size { div { dt { "Size" } dd { (byte_size(size)) } } }
                        div { dt { "Kind" } dd { code { (one.builder_id) } } }
                    }
                    @if !one.files.is_empty() {
                        ul.files {
                            @for file in &one.files {
                                li {
                                    code { (file.path.display()) }
                                    @if let Some(size) = file.size { " (" (byte_size(size)) ")" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn log(build: &Build) -> Markup {
    let count = build.log.lines.len();
    html! {
        details {
            summary {
                "Log (" (count) @if count == 1 { " line" } @else { " lines" }
                @if build.log.omitted > 0 { ", " (build.log.omitted) " before left out" }
                ")"
            }
            pre.log tabindex="0" {
                @for line in &build.log.lines {
                    span.at { "+" (duration(line.offset_ms.saturating_sub(build.offset_ms))) }
                    " "
                    @match line.stream {
                        Stream::Error => span.error { (line.text) },
                        Stream::Output => (line.text),
                    }
                    "\n"
                }
            }
        }
    }
}
