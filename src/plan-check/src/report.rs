//! What came of checking a plan.

use std::fmt::Write as _;

use serde::Serialize;

use ingot_registry::api::Timestamp;

/// What the registry says of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is to be used.
    Fine,
    /// What it is is known only when the plan is applied.
    Unknown,
    /// The registry does not know it.
    Untracked,
    /// A newer one took its place, or that of what it was built from.
    Outdated,
    /// Its version is not complete.
    Incomplete,
    /// It is to be revoked at a time to come.
    RevocationScheduled,
    /// It must not be used.
    Revoked,
}

impl Status {
    /// All of them, the best first.
    pub const ALL: [Status; 7] = [
        Status::Fine,
        Status::Unknown,
        Status::Untracked,
        Status::Outdated,
        Status::Incomplete,
        Status::RevocationScheduled,
        Status::Revoked,
    ];

    /// Its name in JSON, with hyphens.
    pub fn name(self) -> &'static str {
        match self {
            Status::Fine => "fine",
            Status::Unknown => "unknown",
            Status::Untracked => "untracked",
            Status::Outdated => "outdated",
            Status::Incomplete => "incomplete",
            Status::RevocationScheduled => "revocation-scheduled",
            Status::Revoked => "revoked",
        }
    }

    /// What people call it, with an article or without.
    pub fn words(self) -> &'static str {
        match self {
            Status::RevocationScheduled => "scheduled to be revoked",
            status => status.name(),
        }
    }
}

/// What to do about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing.
    #[default]
    Pass,
    /// Look at it.
    Warn,
    /// Do not apply the plan.
    Fail,
}

/// What to use in an image's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replacement {
    /// The channel it was found by.
    pub channel: String,
    /// The version that the channel points at.
    pub version: String,
    /// The image for the same platform and region; none if there is none.
    pub image: Option<String>,
}

/// What was found about one use of an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The resource, with its modules and index.
    pub address: String,
    /// The attribute.
    pub attribute: String,
    /// The image's id; none where it is not known yet or must not be shown.
    pub image: Option<String>,
    /// Whether the id must not be shown.
    pub sensitive: bool,
    /// Where the resource is.
    pub region: Option<String>,
    /// The image's platform, as the registry has it.
    pub platform: Option<String>,
    /// What the registry says.
    pub status: Status,
    /// What to do about it.
    pub level: Level,
    /// The image's bucket.
    pub bucket: Option<String>,
    /// Its version's name.
    pub version: Option<String>,
    /// Its version's fingerprint.
    pub fingerprint: Option<String>,
    /// The channel it came from, as far as that is known.
    pub channel: Option<String>,
    /// Since when it is revoked, or from when on.
    pub revoke_at: Option<Timestamp>,
    /// One sentence for people, without a trailing full stop.
    pub message: String,
    /// What to use in its place.
    pub replacement: Option<Replacement>,
}

impl Finding {
    /// The resource and its attribute.
    pub fn place(&self) -> String {
        format!("{}.{}", self.address, self.attribute)
    }

    /// What to do about it, if that is known.
    pub fn advice(&self) -> Option<String> {
        let Replacement { channel, version, image } = self.replacement.as_ref()?;
        Some(match image {
            Some(image) => format!("channel {channel} is at {version}: use {image}"),
            None => format!("channel {channel} is at {version}"),
        })
    }
}

/// All that was found about a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The findings: the worst first, then by address.
    pub images: Vec<Finding>,
    /// What of the plan could not be looked at, for people.
    pub notes: Vec<String>,
}

impl Report {
    /// How many there are of a status.
    pub fn count(&self, status: Status) -> usize {
        self.images.iter().filter(|finding| finding.status == status).count()
    }

    /// What to do about all of it.
    pub fn level(&self) -> Level {
        self.images.iter().map(|finding| finding.level).max().unwrap_or_default()
    }

    /// `3 images: 1 revoked, 2 fine`
    pub fn summary(&self) -> String {
        let counts = Status::ALL.into_iter().rev().filter_map(|status| {
            let count = self.count(status);
            (count > 0).then(|| format!("{count} {}", status.words()))
        });
        let counts: Vec<String> = counts.collect();
        match self.images.len() {
            0 => "no images".into(),
            1 => format!("1 image: {}", counts.join(", ")),
            count => format!("{count} images: {}", counts.join(", ")),
        }
    }
}

/// A report for people.
pub fn text(file: &str, report: &Report) -> String {
    let mut text = format!("{}: {}\n", plain(file), report.summary());
    for finding in &report.images {
        let level = match finding.level {
            Level::Fail => "FAIL",
            Level::Warn => "WARN",
            Level::Pass => "ok  ",
        };
        let region = finding.region.as_ref().map(|region| format!(" ({region})"));
        let region = region.unwrap_or_default();
        let place = plain(&format!("{}{region}", finding.place()));
        let _ = writeln!(text, "  {level}  {place}");
        let _ = writeln!(text, "        {}", plain(&finding.message));
        if let Some(advice) = finding.advice() {
            let _ = writeln!(text, "        {}", plain(&advice));
        }
    }
    for note in &report.notes {
        let _ = writeln!(text, "  note: {}", plain(note));
    }
    text
}

/// Without what would move a terminal's cursor: everything here was written by others.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
