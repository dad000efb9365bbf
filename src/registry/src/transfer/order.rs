//! The order in which versions are imported.

use std::collections::BTreeMap;

use super::file::{Export, ExportedVersion};
use crate::api::Timestamp;

/// The versions in the order in which they were completed: their numbers are given then, and what
/// something was built from is there before it. Where clocks do not agree with that, what a version was
/// built from and the lower numbers of its bucket still come before it.
pub(super) fn in_order(export: &Export) -> Vec<&ExportedVersion> {
    let mut versions = Vec::new();
    for bucket in &export.buckets {
        let mut of_bucket: Vec<&ExportedVersion> = bucket.versions.iter().collect();
        of_bucket.sort_by_key(|exported| (number(exported), exported.version.completed_at()));
        let mut at = Timestamp::default();
        let mut before = None;
        for exported in of_bucket {
            at = at.max(exported.version.completed_at()).max(exported.version.created_at);
            versions.push((at, before, exported));
            before = Some(versions.len() - 1);
        }
    }
    let key = |exported: &ExportedVersion| {
        (exported.version.bucket_name.clone(), exported.version.fingerprint.clone())
    };
    let places = versions.iter().enumerate().map(|(place, (.., one))| (key(one), place));
    let places: BTreeMap<(String, String), usize> = places.collect();
    let mut by_time: Vec<usize> = (0..versions.len()).collect();
    by_time.sort_by_key(|place| versions[*place].0);

    let mut order = Vec::new();
    let mut seen = vec![State::New; versions.len()];
    // Depth first, and without recursion, as chains may be long. Cycles are cut where they close.
    for first in by_time {
        let mut stack = vec![first];
        while let Some(&place) = stack.last() {
            let (_, before, exported) = &versions[place];
            match seen[place] {
                State::New => {
                    seen[place] = State::Entered;
                    let parents = exported.parents.iter().filter_map(|parent| {
                        let key = (parent.bucket_name.clone(), parent.version_fingerprint.clone());
                        places.get(&key).copied()
                    });
                    let needed = parents.chain(*before);
                    stack.extend(needed.filter(|place| seen[*place] == State::New));
                }
                State::Entered => {
                    seen[place] = State::Done;
                    order.push(*exported);
                    stack.pop();
                }
                State::Done => {
                    stack.pop();
                }
            }
        }
    }
    order
}

/// How far a version has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// What it needs comes first.
    Entered,
    Done,
}

/// The number of `v3`; none for what is not named so.
fn number(exported: &ExportedVersion) -> Option<u64> {
    exported.version.name.strip_prefix('v')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::file::ExportedBucket;
    use super::*;
    use crate::api::{Bucket, Parent, Version};

    fn at(minute: u32) -> Timestamp {
        format!("2026-01-01T12:{minute:02}:00Z").parse().expect("a time")
    }

    fn version(bucket: &str, name: &str, minute: u32, parents: &[(&str, &str)]) -> ExportedVersion {
        let version = Version {
            bucket_name: bucket.into(),
            name: name.into(),
            fingerprint: format!("{bucket}-{name}"),
            created_at: at(minute),
            ..Version::default()
        };
        let parents = parents.iter().map(|(bucket, name)| Parent {
            bucket_name: (*bucket).into(),
            version_fingerprint: format!("{bucket}-{name}"),
            ..Parent::default()
        });
        ExportedVersion { version, parents: parents.collect(), sboms: Vec::new() }
    }

    fn order(buckets: Vec<Vec<ExportedVersion>>) -> Vec<String> {
        let bucket = |versions: Vec<ExportedVersion>| ExportedBucket {
            bucket: Bucket::default(),
            versions,
            channels: Vec::new(),
            latest_is_restricted: false,
            enforced_blocks: Vec::new(),
        };
        let export = Export {
            ingot_registry_export: 1,
            registry: String::new(),
            buckets: buckets.into_iter().map(bucket).collect(),
            enforced_blocks: Vec::new(),
        };
        in_order(&export).into_iter().map(|it| it.version.fingerprint.clone()).collect()
    }

    #[test]
    fn parents_and_lower_numbers_come_first_whatever_clocks_say() {
        let child = || vec![version("child", "v1", 30, &[("base", "v2")])];
        let base = vec![version("base", "v2", 10, &[]), version("base", "v1", 59, &[])];
        assert_eq!(order(vec![child(), base]), ["base-v1", "base-v2", "child-v1"]);
        // Where clocks say the same, too.
        let base = vec![version("base", "v1", 30, &[]), version("base", "v2", 30, &[])];
        assert_eq!(order(vec![child(), base]), ["base-v1", "base-v2", "child-v1"]);
        // By time, where nothing else says anything.
        let late = vec![version("late", "v1", 40, &[])];
        let early = vec![version("early", "v1", 20, &[])];
        assert_eq!(order(vec![late, early]), ["early-v1", "late-v1"]);
    }

    #[test]
    fn cycles_and_long_chains_end() {
        let one = vec![version("one", "v1", 1, &[("two", "v1"), ("one", "v1")])];
        let two = vec![version("two", "v1", 2, &[("one", "v1")])];
        assert_eq!(order(vec![one, two]).len(), 2);
        let count = 50_000;
        let name = |number: usize| format!("v{number}");
        let chain = (0..count).map(|number| version("long", &name(count - number), 1, &[]));
        let order = order(vec![chain.collect()]);
        assert_eq!((order.len(), order[0].as_str()), (count, "long-v1"));
    }
}
