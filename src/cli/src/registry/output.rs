//! What commands answer: tables and JSON on standard output.

use std::collections::BTreeSet;

use ingot_sdk::{Error, Result};
use serde::Serialize;

use ingot_registry::api::{Labels, Timestamp, Version, VersionStatus};

/// Writes a line of the answer. A closed reader is not an error.
pub(crate) fn line(text: impl AsRef<str>) {
    crate::answer(text.as_ref());
}

/// Answers in JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    // By way of a value, so that JSON that is passed on as text is laid out, too.
    let text = serde_json::to_value(value).and_then(|value| serde_json::to_string_pretty(&value));
    line(text.map_err(|error| Error::new(error.to_string()))?);
    Ok(())
}

/// Answers with a table, whose first row is its head.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) {
    let head = head.map(str::to_owned);
    let rows: Vec<[String; N]> = [head].into_iter().chain(rows).map(|row| row.map(plain)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// Answers with names and values, leaving out those without a value.
pub(crate) fn fields(fields: &[(&str, String)]) {
    let fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        line(format!("{:width$}  {}", format!("{name}:"), plain(value.clone()), width = width + 1));
    }
}

/// A text that a terminal shows and does not obey.
pub(super) fn plain(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let shown = text.chars().map(|c| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    shown.collect()
}

/// A moment, to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    let format =
        time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    at.datetime().and_then(|at| at.format(format).ok()).unwrap_or_default()
}

/// Names in a sentence.
pub(super) fn sentence_list(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Labels in a line.
pub(super) fn labels(labels: &Labels) -> String {
    let shown: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    shown.join(", ")
}

/// How a version is called: one that is not complete has no name yet.
pub(super) fn shown_version<'a>(name: &'a str, fingerprint: &'a str) -> &'a str {
    match name {
        "" | "v0" => fingerprint,
        name => name,
    }
}

/// A version's state in a word, and when it is revoked.
pub(super) fn status(version: &Version) -> String {
    let word = match version.status {
        VersionStatus::Unset => "unset",
        VersionStatus::Running => "running",
        VersionStatus::Cancelled => "cancelled",
        VersionStatus::Failed => "failed",
        VersionStatus::Revoked => "revoked",
        VersionStatus::RevocationScheduled => {
            return format!("revoked at {}", moment(version.revoke_at));
        }
        VersionStatus::Active => "active",
        VersionStatus::Incomplete => "incomplete",
    };
    word.to_owned()
}
