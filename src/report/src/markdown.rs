//! The report as GitHub's Markdown, for the summary of a job.

use std::fmt::Write as _;

use ingot_sdk::byte_size;

use super::model::{Build, Position, Report, Severity};
use super::shown::duration;

/// How many bytes a summary may have: GitHub takes 1 MiB from each step of a job, and drops what is
/// longer.
const LIMIT: usize = 900 << 10;

/// The summary: a table of the builds, and what failed.
pub fn summary(report: &Report) -> String {
    let mut text = format!("### {}: {}\n\n", code(&report.run.template), report.run.status.name());
    let errors = report.diagnostics.iter().filter(|one| one.severity == Severity::Error);
    for error in errors.take(20) {
        let at = error.place.as_ref().map(|place| format!("{} ", code(&at(place))));
        let _ = writeln!(text, "- {}{}", at.unwrap_or_default(), inline(&error.message));
    }
    if !report.builds.is_empty() {
        text.push_str("| Build | Status | Duration | Artifacts |\n| --- | --- | ---: | --- |\n");
    }
    for build in &report.builds {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            code(&build.name),
            build.status.name(),
            duration(build.duration_ms),
            artifacts(build)
        );
    }
    for build in &report.builds {
        let more = failure(build);
        if text.len() + more.len() > LIMIT {
            text.push_str("\nMore builds failed than fit in here.\n");
            break;
        }
        text.push_str(&more);
    }
    text.push('\n');
    text
}

fn at(place: &Position) -> String {
    format!("{}:{}:{}", place.file, place.line, place.column)
}

fn artifacts(build: &Build) -> String {
    let shown = build.artifacts.iter().take(10).map(|artifact| {
        let size = artifact.size.map(|size| format!(" ({})", byte_size(size)));
        format!("{}{}", inline(&artifact.description), size.unwrap_or_default())
    });
    shown.collect::<Vec<_>>().join("<br>")
}

fn failure(build: &Build) -> String {
    let Some(failure) = &build.failure else { return String::new() };
    let mut text = format!("\n<details open><summary>{}", html(&build.name));
    if let Some(step) = &failure.step {
        let _ = write!(text, ": {}", html(step));
    }
    text.push_str("</summary>\n\n");
    if let Some(place) = &failure.place {
        let _ = writeln!(text, "{}\n", code(&at(place)));
    }
    let lines: Vec<String> =
        failure.output.iter().chain([&failure.message]).map(|line| html(line)).collect();
    let _ = writeln!(text, "<pre>{}</pre>", lines.join("&#10;"));
    if let Some(hint) = &failure.hint {
        let _ = writeln!(text, "\nHelp: {}", inline(hint));
    }
    text.push_str("\n</details>\n");
    text
}

/// Text in a line or a cell of a table.
fn inline(text: &str) -> String {
    html(text.lines().next().unwrap_or_default())
}

/// Text as code: Markdown's own marks mean nothing in it.
fn code(text: &str) -> String {
    format!("<code>{}</code>", html(text))
}

/// Text with nothing left in it that Markdown, HTML or a table could take for its own.
fn html(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '!' | '~' | '@' | '$' => {
                let _ = write!(html, "&#{};", u32::from(c));
            }
            '\n' => html.push_str("&#10;"),
            c if c.is_control() && c != '\t' => {}
            c => html.push(c),
        }
    }
    html
}
