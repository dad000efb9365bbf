//! The search for a version that will do: why others do not, and when it ends.

use std::time::{Duration, Instant};

use semver::Version;

/// How many versions are downloaded for one that this machine can use. Those whose list of files
/// says already that they will not do cost a small request each, and are bounded by the time alone.
const MAX_DOWNLOADS: usize = 20;

/// How many reasons a message has.
const MAX_REASONS: usize = 10;

/// Why a version will not do, where another may.
pub(super) struct IncompatibleVersion {
    pub reason: String,
    /// Whether it had to be downloaded to know.
    pub downloaded: bool,
}

/// All that can be had is older than what is there.
#[derive(Debug, thiserror::Error)]
#[error("the newest version that {origin} has is {newest}, older than {at_least}")]
pub struct OnlyOlder {
    pub(super) origin: String,
    pub(super) newest: Version,
    pub(super) at_least: Version,
}

/// What was found so far.
pub(super) struct Search {
    reasons: Vec<String>,
    downloads: usize,
    begun: Instant,
    limit: Duration,
    /// Whether it ended before everything was looked at.
    ended: bool,
    /// What is left out for being older than what is there.
    pub only_older: Option<OnlyOlder>,
}

impl Search {
    /// One that ends after `limit`.
    pub(super) fn new(limit: Duration) -> Search {
        Search {
            reasons: Vec::new(),
            downloads: 0,
            begun: Instant::now(),
            limit,
            ended: false,
            only_older: None,
        }
    }

    /// Notes why there is nothing in a place.
    pub(super) fn note(&mut self, reason: String) {
        self.reasons.push(reason);
    }

    /// Notes why a version will not do.
    pub(super) fn add(&mut self, incompatible: IncompatibleVersion) {
        self.downloads += usize::from(incompatible.downloaded);
        self.reasons.push(incompatible.reason);
    }

    /// Whether no other version is looked at.
    pub(super) fn ends(&mut self) -> bool {
        self.ended |= self.downloads >= MAX_DOWNLOADS || self.begun.elapsed() >= self.limit;
        self.ended
    }

    /// Why there is nothing, for people.
    pub(super) fn reasons(mut self) -> String {
        let more = self.reasons.len().saturating_sub(MAX_REASONS);
        self.reasons.truncate(MAX_REASONS);
        if more > 0 {
            self.reasons.push(format!("{more} more do not match either"));
        }
        if self.ended {
            self.reasons
                .push("older versions were not looked at: name one in `version`".to_owned());
        }
        self.reasons.join("; ")
    }
}
