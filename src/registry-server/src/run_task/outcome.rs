//! A result as Terraform takes it: JSON:API of type `task-results`.

use serde_json::{Value, json};

use ingot_plan_check::{Finding, Level, Report, Status};

/// How many outcomes are sent at most: the worst ones.
const MOST: usize = 200;

/// How long a message with everything in it may be, in bytes; a few more where it says how much is
/// left out.
const MESSAGE: usize = 4_000;

/// That the work has begun.
pub(super) fn running() -> Value {
    result("running", "Checking the plan's images", None, Vec::new())
}

/// That the plan could not be checked, which is no pass.
pub(super) fn failed(why: &str) -> Value {
    let message = short(&format!("The plan could not be checked: {why}"));
    result("failed", &message, None, Vec::new())
}

/// What came of the check; in parts if Terraform takes them.
pub(super) fn checked(report: &Report, url: &str, parts: bool) -> Value {
    let status = if report.level() == Level::Fail { "failed" } else { "passed" };
    let reported: Vec<&Finding> =
        report.images.iter().filter(|finding| finding.level != Level::Pass).collect();
    let mut message = report.summary();
    if parts && reported.len() > MOST {
        message.push_str(&format!(" (the worst {MOST} are shown)"));
    }
    for note in &report.notes {
        message.push_str(&format!("; {note}"));
    }
    if parts {
        message = short(&message);
    } else {
        in_words(&reported, &mut message);
    }
    let outcomes = reported.iter().take(MOST).enumerate().map(|(index, it)| outcome(index, it));
    let outcomes = if parts { outcomes.collect() } else { Vec::new() };
    result(status, &message, Some(url).filter(|url| !url.is_empty()), outcomes)
}

/// Adds the findings to a message, the worst first, as many as it has room for.
fn in_words(reported: &[&Finding], message: &mut String) {
    for (index, finding) in reported.iter().enumerate() {
        let next = short(&format!("{}: {}", finding.place(), finding.message));
        if message.len() + next.len() > MESSAGE {
            message.push_str(&format!(". And {} more", reported.len() - index));
            return;
        }
        message.push_str(&format!(". {next}"));
    }
}

fn result(status: &str, message: &str, url: Option<&str>, outcomes: Vec<Value>) -> Value {
    let mut attributes = json!({ "status": status, "message": message });
    if let Some(url) = url {
        attributes["url"] = json!(url);
    }
    let mut data = json!({ "type": "task-results", "attributes": attributes });
    if !outcomes.is_empty() {
        data["relationships"] = json!({ "outcomes": { "data": outcomes } });
    }
    json!({ "data": data })
}

fn outcome(index: usize, finding: &Finding) -> Value {
    let level = if finding.level == Level::Fail { "error" } else { "warning" };
    let tag = |label: &str, level: &str| json!([{ "label": label, "level": level }]);
    let mut tags = json!({
        "Status": tag(title(finding.status), level),
        "Severity": tag(if finding.level == Level::Fail { "Blocks" } else { "Advisory" }, level),
    });
    for (name, value) in [
        ("Bucket", &finding.bucket),
        ("Version", &finding.version),
        ("Channel", &finding.channel),
        ("Region", &finding.region),
    ] {
        if let Some(value) = value {
            tags[name] = json!([{ "label": value }]);
        }
    }
    let mut body = format!("**{}**\n\n{}.\n", code(&finding.place()), text(&finding.message));
    if let Some(advice) = finding.advice() {
        body.push_str(&format!("\n{}.\n", text(&advice)));
    }
    json!({
        "type": "task-result-outcomes",
        "attributes": {
            "outcome-id": format!("{}-{}", finding.status.name(), index + 1),
            "description": short(&format!("{}: {}", finding.place(), finding.message)),
            "body": body,
            "tags": tags,
        },
    })
}

fn title(status: Status) -> &'static str {
    match status {
        Status::Fine => "Fine",
        Status::Unknown => "Unknown",
        Status::Untracked => "Untracked",
        Status::Outdated => "Outdated",
        Status::Incomplete => "Incomplete",
        Status::RevocationScheduled => "Scheduled to be revoked",
        Status::Revoked => "Revoked",
    }
}

/// Not longer than Terraform shows.
fn short(text: &str) -> String {
    let mut shown: String = text.chars().take(500).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace(['`', '\n', '\r'], " "))
}

/// Others' text in Markdown, as text.
fn text(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '!' | '~' => {
                shown.push('\\');
                shown.push(c);
            }
            c if c.is_control() => shown.push(' '),
            c => shown.push(c),
        }
    }
    shown
}
